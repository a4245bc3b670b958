"""The deploy guard against a real server: open runs that fit the code here, and runs that another code began."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from engross.contracts import ChunksRequest
from starters.replay import Execution, Misfit, Replayed, listed, misfits, replayed, replayed_histories
from tests.starters.builds_world import OtherChain, engross, lines, started, until, waiting, working
from tests.starters.conftest import start_server, variables
from tests.workflows.harness import PATTERNS
from tests.workflows.test_replay import HISTORIES, load
from tests.workflows.test_replay_changes import StepAdded, StepRemoved
from workflows.approval import Approval, Tell

pytestmark = pytest.mark.asyncio(loop_scope="module")
FITTING, STRANGE, ODD = "invoice-acme-fits", "invoice-acme-strange", "of-no-type"


@workflow.defn(name="chain", sandboxed=False)
class Unreadable:
    """Its input is another one."""

    @workflow.run
    async def run(self, request: ChunksRequest) -> None: ...


@workflow.defn(name="chain", sandboxed=False)
class Broken:
    """Has a mistake that fails its tasks, and tells what it was given."""

    @workflow.run
    async def run(self, request: object) -> None:
        raise ZeroDivisionError(f"cannot read {request}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_server() -> AsyncIterator[WorkflowEnvironment]:
    """Three open runs: one that waits for people, one of another code, one of a type that no code here has."""
    async with start_server() as environment:
        client = environment.client
        async with working(client, None):
            await waiting(client, FITTING)
        async with working(client, None, chain=OtherChain):
            await started(client, STRANGE)
            await until(lambda: has_begun(client, STRANGE))
        await client.start_workflow("nobody_knows", id=ODD, task_queue="workflows")
        await until(lambda: has_listed(client, 4))  # with the approval
        yield environment


@pytest.fixture(autouse=True)
def environment(
    own_server: WorkflowEnvironment, tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(own_server, tmp_path / "home").items():
        monkeypatch.setenv(name, value)


async def has_begun(client: Client, run_id: str) -> bool:
    history = await client.get_workflow_handle(run_id).fetch_history()
    return any(event.HasField("timer_started_event_attributes") for event in history.events)


async def has_listed(client: Client, count: int) -> bool:
    return (await client.count_workflows("ExecutionStatus = 'Running'")).count == count


async def test_a_run_that_waits_for_people_fits() -> None:
    result = await engross("replay", FITTING, f"{FITTING}-approval", "--json")
    assert result.exit_code == 0, result.output
    assert [(line["workflow_id"], line["workflow_type"], line["fits"]) for line in lines(result)] == [
        (FITTING, "chain", True),
        (f"{FITTING}-approval", "approval", True),
    ]


async def test_a_run_of_another_code_does_not_fit_and_the_row_says_where() -> None:
    result = await engross("replay", STRANGE, "--json")
    assert result.exit_code == 1
    [row] = lines(result)
    assert row["fits"] is False
    assert row["misfit"]["event"] == "TimerStarted"
    history = row["events"]
    assert 0 < row["misfit"]["event_id"] <= history
    assert "workflow.patched()" in result.stderr


async def test_people_read_what_does_not_fit_and_what_to_do() -> None:
    result = await engross("replay", STRANGE, FITTING)
    assert result.exit_code == 1
    assert STRANGE in result.stdout
    assert FITTING not in result.stdout
    assert "2 replayed, 1 fit, 1 do not" in result.stderr


async def test_all_open_finds_everything_also_types_that_are_gone() -> None:
    result = await engross("replay", "--all-open", "--json")
    assert result.exit_code == 1
    fits = {line["workflow_id"]: line["fits"] for line in lines(result)}
    assert fits == {FITTING: True, f"{FITTING}-approval": True, STRANGE: False, ODD: False}


async def test_a_type_and_a_limit_narrow_all_open() -> None:
    of_type = await engross("replay", "--all-open", "--type", "approval", "--json")
    assert (of_type.exit_code, len(lines(of_type))) == (0, 1)
    limited = await engross("replay", "--all-open", "--limit", "2", "--json")
    assert len(lines(limited)) == 2


@pytest.mark.parametrize(
    "arguments",
    [[], ["x", "--all-open"], ["x", "--limit", "1"], ["x", "--type", "chain"], ["--all-open", "--type", "a' OR 'b"]],
)
async def test_wrong_usage_is_refused(arguments: list[str]) -> None:
    result = await engross("replay", *arguments)
    assert result.exit_code == 2, result.output


async def test_an_unknown_run_is_refused() -> None:
    result = await engross("replay", "no-such-run")
    assert (result.exit_code, result.stderr.strip()) == (2, "engross: no run has that id")


async def test_a_changed_workflow_is_caught_and_nothing_of_the_run_is_told(
    own_server: WorkflowEnvironment, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where the input cannot be decoded, which the SDK logs with the input."""
    query = f"WorkflowId = '{FITTING}'"
    for changed, reason in ((OtherChain, "this code does something else: timer"), (None, "no workflow of")):
        workflows = [changed, Approval] if changed else [Approval, Tell]
        [(_, misfit)] = misfits(await all_of(own_server.client, workflows, query))
        assert reason in misfit.reason
    assert "a.pdf" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "changed", "misfit"),
    [
        ("chain-done", StepAdded, Misfit("this code does something else: timer", 6, "ActivityTaskScheduled (prepare)")),
        ("chain-done", StepRemoved, Misfit("this code does store_answer", event="ask_model")),
        ("chain-approved", StepRemoved, Misfit("this code does nothing", 12, "ActivityTaskScheduled (ask_model)")),
        (
            "chain-plain-text",
            StepAdded,
            Misfit("this code does not do the next of the short steps that run where the workflow does"),
        ),
        (
            "chain-done",
            Unreadable,
            Misfit("this code cannot read what the history holds: contracts differ, or a key is missing"),
        ),
        ("chain-done", Broken, Misfit("the workflow's code failed in a way that its tasks would be retried for ever")),
    ],
)
async def test_each_kind_of_misfit_is_told_without_its_text(
    name: str, changed: type, misfit: Misfit, capfd: pytest.CaptureFixture[str]
) -> None:
    [file] = [file for file in HISTORIES if file.stem == name]

    async def one() -> AsyncIterator[WorkflowHistory]:
        yield load(file)

    results = [result async for result in replayed_histories(one(), [changed], pydantic_data_converter)]
    assert [result.misfit for result in results] == [misfit]
    assert "".join(capfd.readouterr()) == ""


async def test_many_histories_are_replayed_in_order(own_server: WorkflowEnvironment) -> None:
    """More than are fetched ahead."""
    found = [each async for each in listed(own_server.client, f"WorkflowId = '{FITTING}'")]

    async def many() -> AsyncIterator[Execution]:
        for _ in range(23):
            yield found[0]

    results = [result async for result in replayed(own_server.client, PATTERNS, many())]
    assert (len(results), misfits(results)) == (23, [])


async def all_of(client: Client, workflows: list[type], query: str) -> list[Replayed]:
    return [result async for result in replayed(client, workflows, listed(client, query))]
