"""Changed copies of workflows: the guard tells the changes that break runs in flight from those that don't."""

import pytest
from temporalio import workflow
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from engross.contracts import ApprovalRequest, ApprovalResult, RunRequest, RunResult
from tests.workflows.fakes import blob
from tests.workflows.test_replay import HISTORIES, load
from workflows import failures
from workflows.approval import Approval
from workflows.chain import chain
from workflows.pattern import Pattern

ANSWER = blob("answer")
WAITING_RUNS = ("chain-waiting-for-people", "chain-waiting-for-a-circuit", "chain-waiting-for-a-budget")


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class Copied(Pattern):
    """No change at all: what the others differ by is their change only."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await chain(run)
        return run.result


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class StepRemoved(Pattern):
    """Asks no model."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await run.prepare()
            await run.store(ANSWER)
        return run.result


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class StepAdded(Pattern):
    """Waits a second before it begins."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await workflow.sleep(1)
            await chain(run)
        return run.result


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class StepAddedBehindAPatch(Pattern):
    """As above, but only for runs that begin with this code."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            if workflow.patched("wait-first"):
                await workflow.sleep(1)
            await chain(run)
        return run.result


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class StepsReordered(Pattern):
    """Stores before it asks."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            prepared = await run.prepare()
            await run.store(ANSWER)
            await run.ask(prepared.plan.steps[0], prepared.text, None)
        return run.result


class _ApprovalBegins(Approval):
    """`before` comes before all that an approval does."""

    async def before(self) -> None:
        raise NotImplementedError

    async def _keep(self) -> None:
        if self._kept == 0:
            await self.before()
        await super()._keep()


@workflow.defn(name="approval", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class ApprovalCopied(Approval):
    """No change at all."""

    @workflow.init
    def __init__(self, request: ApprovalRequest | None = None) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ApprovalRequest | None = None) -> ApprovalResult:
        return await super().run(request)


@workflow.defn(name="approval", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class ApprovalStepAdded(_ApprovalBegins):
    """Waits a second before people see it."""

    @workflow.init
    def __init__(self, request: ApprovalRequest | None = None) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ApprovalRequest | None = None) -> ApprovalResult:
        return await super().run(request)

    async def before(self) -> None:
        await workflow.sleep(1)


@workflow.defn(name="approval", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class ApprovalStepRemoved(Approval):
    """Never tells the inbox."""

    @workflow.init
    def __init__(self, request: ApprovalRequest | None = None) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ApprovalRequest | None = None) -> ApprovalResult:
        return await super().run(request)

    async def _keep(self) -> None:
        self._kept = self._decisions.state.revision
        self._decisions.news.clear()


async def replay(name: str, defined: type) -> None:
    [file] = [file for file in HISTORIES if file.stem == name]
    await Replayer(workflows=[defined], data_converter=pydantic_data_converter).replay_workflow(load(file))


@pytest.mark.parametrize("name", ["chain-done", "chain-two-steps", "chain-approved", *WAITING_RUNS])
@pytest.mark.parametrize("changed", [StepRemoved, StepAdded, StepsReordered], ids=lambda each: each.__name__)
async def test_a_changed_pattern_is_caught(name: str, changed: type) -> None:
    with pytest.raises(NondeterminismError):
        await replay(name, changed)


@pytest.mark.parametrize("name", ["chain-done", "chain-two-steps", "chain-approved", *WAITING_RUNS])
@pytest.mark.parametrize("same", [Copied, StepAddedBehindAPatch], ids=lambda each: each.__name__)
async def test_an_equal_copy_and_a_patched_change_are_not(name: str, same: type) -> None:
    await replay(name, same)


APPROVALS = ("approval-waiting", "approval-corrected", "approval-continued")


@pytest.mark.parametrize("name", APPROVALS)
async def test_an_equal_copy_of_the_approval_replays(name: str) -> None:
    await replay(name, ApprovalCopied)


@pytest.mark.parametrize("name", ["approval-waiting", "approval-corrected"])
async def test_a_step_added_to_the_approval_is_caught(name: str) -> None:
    with pytest.raises(NondeterminismError):
        await replay(name, ApprovalStepAdded)


@pytest.mark.parametrize("name", APPROVALS)
async def test_a_step_removed_from_the_approval_is_caught(name: str) -> None:
    with pytest.raises(NondeterminismError):
        await replay(name, ApprovalStepRemoved)
