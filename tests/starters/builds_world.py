"""Workers of several builds against one real server, with the real patterns and scripted steps."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import typer
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typer.testing import CliRunner, Result

from engross.contracts import ActKind, Approval, ApprovalState, RunRequest, RunResult
from engross.names import APPROVAL_QUERY, DOCUMENTS_QUEUE, WORKFLOWS_QUEUE, models_queue
from engross.settings import Settings, load_settings
from starters.cli.builds_commands import builds
from starters.cli.ending import Commands
from starters.cli.replay_commands import replay
from tests.workflows.approvals import ScriptedPeople, act, approval_of, decide
from tests.workflows.fakes import ScriptedActivities, reply
from tests.workflows.harness import PATTERNS, REQUEST
from workers.versions import deployment_config
from workflows import failures
from workflows.pattern import Pattern

ALL_QUEUES = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, models_queue("openai"))

app = typer.Typer(cls=Commands)
app.command()(replay)
app.add_typer(builds, name="builds")


@workflow.defn(name="chain", failure_exception_types=failures.OF_OUR_OWN, sandboxed=False)
class OtherChain(Pattern):
    """As another version of the code might have it: waits, and only then does what ours begins with."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await workflow.sleep(3600)
            await run.prepare()
        return run.result


async def engross(*arguments: str) -> Result:
    """The command in this process, in a thread, as the workers need this thread's loop."""
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments)))


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


async def listed() -> dict[str, dict[str, Any]]:
    """What `engross builds list` says of each build."""
    result = await engross("builds", "list", "--json")
    assert result.exit_code == 0, result.output
    return {line["build_id"]: line for line in lines(result)}


def settings_of(build: str | None) -> Settings:
    settings = load_settings()
    return settings.model_copy(update={"build_id": build})


@asynccontextmanager
async def working(
    client: Client, build: str | None, *, queues: Sequence[str] = ALL_QUEUES, chain: type | None = None
) -> AsyncIterator[None]:
    """Workers of one build, or without one, of `queues`; every answer goes to a person. `chain` replaces ours."""
    fakes = ScriptedActivities(replies=[reply() for _ in range(50)], approval=Approval())
    people = ScriptedPeople()
    workflows = [chain if chain and each.__name__ == "Chain" else each for each in PATTERNS]
    activities: dict[str, list[Callable[..., Any]]] = {
        WORKFLOWS_QUEUE: [fakes.prepare_plain, fakes.store_answer, *people.here],
        DOCUMENTS_QUEUE: [fakes.prepare, fakes.store_answer, people.note_approval, people.send_notice],
        models_queue("openai"): [fakes.ask_model],
    }
    async with AsyncExitStack() as stack:
        for queue in queues:
            worker = Worker(
                client,
                task_queue=queue,
                workflows=workflows if queue == WORKFLOWS_QUEUE else (),
                activities=activities[queue],
                workflow_runner=UnsandboxedWorkflowRunner(),
                deployment_config=deployment_config(settings_of(build)),
                identity=f"{build}-{queue}",
            )
            await stack.enter_async_context(worker)
        yield


async def started(client: Client, run_id: str) -> WorkflowHandle[Any, RunResult]:
    return await client.start_workflow("chain", REQUEST, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult)


async def waiting(client: Client, run_id: str) -> WorkflowHandle[Any, RunResult]:
    """A run whose approval is open."""
    handle = await started(client, run_id)

    async def is_open() -> bool:
        described = [each async for each in client.list_workflows(f"WorkflowId = '{run_id}-approval'")]
        return bool(described) and bool((await state(client, run_id)).shown)

    await until(is_open)
    return handle


async def state(client: Client, run_id: str) -> ApprovalState:
    found: ApprovalState = await approval_of(client, run_id).query(APPROVAL_QUERY, result_type=ApprovalState)
    return found


async def approve(client: Client, run_id: str) -> None:
    """The run goes on to its end."""
    shown = (await state(client, run_id)).shown
    await decide(client, run_id, act(ActKind.APPROVE, "ann", shown))
    await client.get_workflow_handle(run_id).result()


async def build_of(client: Client, run_id: str) -> str:
    """The build that has done the last step of a run; empty when workers without a build have."""
    described = await client.get_workflow_handle(run_id).describe()
    return described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 50) -> None:
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - another process: there is no event to wait for
            await asyncio.sleep(0.1)


async def known(*builds: str) -> None:
    """Returns once the server has heard of all queues of these builds."""

    async def all_there() -> bool:
        found = await listed()
        return all(len(found.get(build, {"queues": ()})["queues"]) >= len(ALL_QUEUES) for build in builds)

    await until(all_there)
