"""The deploy guard: histories of a live server, replayed against the code as it is here."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final

from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowReplayResult
from temporalio.workflow import NondeterminismError

from engross.names import WORKFLOWS_QUEUE
from starters.connection import RPC_TIMEOUT

FIX: Final = (
    "Keep a worker of the build that they began on running until they have ended, or put the change behind"
    " workflow.patched(); see docs/releases.md."
)
# Of everything on our queue, also of types that this code no longer has: those are what a deploy would strand.
OPEN: Final = f"ExecutionStatus = 'Running' AND TaskQueue = '{WORKFLOWS_QUEUE}'"

_FETCHED_AHEAD: Final = 4  # a history has up to 50 MB
_FETCH_TIMEOUT: Final = timedelta(seconds=60)
_EVENT: Final = re.compile(r"HistoryEvent\(id: (\d+), (\w+)\)")
_MACHINE: Final = re.compile(r"error: ([A-Za-z][A-Za-z ]{0,40}) machine does not handle")
_TYPES: Final = re.compile(r"event '([\w.-]{1,100})' does not match \w+ type of [\w ]{1,40} '([\w.-]{1,100})'")
_LOCAL: Final = "this code does not do the next of the short steps that run where the workflow does"
_NO_DECODING: Final = "Failed decoding"


@dataclass(frozen=True)
class Execution:
    """One execution of a workflow on the server, by both of its ids."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True)
class Misfit:
    """Why a history does not replay. No text of the error is kept: it can quote what a document says.

    `event_id` and `event` tell where, when that is known: the first event that this code would not have made.
    """

    reason: str
    event_id: int | None = None
    event: str = ""


@dataclass(frozen=True)
class Replayed:
    """How the replay of one execution went; `misfit` is None when this code can go on with it."""

    workflow_id: str
    run_id: str
    workflow_type: str
    events: int
    misfit: Misfit | None


def open_query(workflow_type: str | None) -> str:
    """Temporal's list filter for all that is open, or all of one type; the type's name must hold no quote."""
    return OPEN + (f" AND WorkflowType = '{workflow_type}'" if workflow_type else "")


async def listed(connection: Client, query: str, limit: int | None = None) -> AsyncIterator[Execution]:
    """The executions that a filter finds. Raises `RPCError`."""
    async for found in connection.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
        yield Execution(found.id, found.run_id)


async def named(connection: Client, workflow_ids: Sequence[str]) -> AsyncIterator[Execution]:
    """The latest execution of each id. Raises `RPCError` for one that the server does not know."""
    for workflow_id in workflow_ids:
        described = await connection.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        yield Execution(workflow_id, described.run_id)


async def replayed(
    connection: Client, workflows: Sequence[type], executions: AsyncIterator[Execution]
) -> AsyncIterator[Replayed]:
    """How each of `executions` replays against `workflows`. Raises `RPCError` when a history cannot be fetched."""
    histories = _histories(connection, executions)
    async for result in replayed_histories(histories, workflows, connection.data_converter):
        yield result


async def replayed_histories(
    histories: AsyncIterator[WorkflowHistory], workflows: Sequence[type], data_converter: DataConverter
) -> AsyncIterator[Replayed]:
    """How each history replays, in order.

    Without the sandbox, as the workers run them: the question is what they would do. CI replays in the sandbox.
    """
    replayer = Replayer(
        workflows=workflows,
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
        runtime=_quiet_runtime(),
        debug_mode=True,  # no clock: a large history on a busy machine is not a deadlock
    )
    types = {workflow._Definition.must_from_class(each).name for each in workflows}
    with _quiet_workflows():
        async with replayer.workflow_replay_iterator(histories) as results:
            async for result in results:
                yield _told(result, types)


async def _histories(connection: Client, executions: AsyncIterator[Execution]) -> AsyncIterator[WorkflowHistory]:
    """The histories in order, a few of them fetched ahead while others replay."""
    ahead: deque[asyncio.Task[WorkflowHistory]] = deque()
    try:
        async for execution in executions:
            ahead.append(asyncio.create_task(_history(connection, execution)))
            if len(ahead) > _FETCHED_AHEAD:
                yield await ahead.popleft()
        while ahead:
            yield await ahead.popleft()
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)  # what they say after a failure is no news


async def _history(connection: Client, execution: Execution) -> WorkflowHistory:
    handle = connection.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
    return await handle.fetch_history(rpc_timeout=_FETCH_TIMEOUT)


def _told(result: WorkflowReplayResult, types: Collection[str | None]) -> Replayed:
    history = result.history
    name = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    misfit = None if result.replay_failure is None else _misfit(history, result.replay_failure)
    if name not in types:  # a run that no worker has begun yet replays whatever its type is
        misfit = Misfit("this code has no workflow of that type")
    return Replayed(history.workflow_id, history.run_id, name, len(history.events), misfit)


def _misfit(history: WorkflowHistory, failure: Exception) -> Misfit:
    text = str(failure)
    if not isinstance(failure, NondeterminismError):
        if _NO_DECODING in text:
            return Misfit("this code cannot read what the history holds: contracts differ, or a key is missing")
        return Misfit("the workflow's code failed in a way that its tasks would be retried for ever")
    found, types = _EVENT.search(text), _TYPES.search(text)
    if found:
        event_id, machine = int(found[1]), _MACHINE.search(text)
        does = f"something else: {machine[1].lower()}" if machine else "nothing"
        return Misfit(f"this code does {does}", event_id, f"{found[2]}{_what(history, event_id)}")
    if types:
        return Misfit(f"this code does {types[2]}", event=types[1])
    return Misfit(_LOCAL if "LocalActivity" in text else "this code does other things, or in another order")


def _what(history: WorkflowHistory, event_id: int) -> str:
    """The name of the step or child that an event began; they are names of ours, never of a document."""
    for event in history.events:
        if event.event_id == event_id:
            scheduled, child = (
                event.activity_task_scheduled_event_attributes,
                event.start_child_workflow_execution_initiated_event_attributes,
            )
            name = scheduled.activity_type.name or child.workflow_type.name
            return f" ({name})" if name else ""
    return ""


def misfits(results: Iterable[Replayed]) -> list[tuple[Replayed, Misfit]]:
    """Those that this code cannot go on with, and why."""
    return [(result, result.misfit) for result in results if result.misfit]


@cache
def _quiet_runtime() -> Runtime:
    # It logs every misfit at length; a row of ours says it.
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=TelemetryFilter("ERROR", "ERROR"))))


@contextmanager
def _quiet_workflows() -> Iterator[None]:
    """Nothing in the log while workflows replay: tracebacks of what cannot be decoded quote documents."""
    logger = logging.getLogger("temporalio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
