"""Runs one document with scripted activities, a worker for each queue, as in production."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from engross.contracts import RunResult
from engross.names import DOCUMENTS_QUEUE, WORKFLOWS_QUEUE, models_queue
from tests.workflows.approvals import ScriptedPeople
from tests.workflows.fakes import ScriptedActivities
from workflows.approval import Approval, Tell
from workflows.chain import Chain
from workflows.fan_out import FanOut
from workflows.map_reduce import MapReduce
from workflows.map_segment import MapSegment
from workflows.refine import Refine
from workflows.router import Router

REQUEST: dict[str, Any] = {"job": "invoice", "document": {"uri": "blob:1", "name": "a.pdf"}, "tenant": "acme"}
_LIMIT: Final = 90  # seconds of real time, for a run that takes one or two
PATTERNS: Final = (Chain, FanOut, MapReduce, MapSegment, Refine, Router, Approval, Tell)


async def run(
    client: Client,
    fakes: ScriptedActivities,
    request: Any = (REQUEST,),
    run_id: str = "invoice-acme-1",
    kind: str = "chain",
) -> RunResult:
    """Runs one document to its end, with the workflow type `kind`."""
    async with workers(client, fakes):
        result: RunResult = await client.execute_workflow(
            kind, args=request, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult
        )
        return result


async def start(
    client: Client, run_id: str, kind: str = "chain", job: str = "invoice"
) -> WorkflowHandle[Any, RunResult]:
    request = {**REQUEST, "job": job}
    return await client.start_workflow(kind, request, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult)


def workers(client: Client, fakes: ScriptedActivities, people: ScriptedPeople | None = None) -> AsyncExitStack:
    """One worker a queue, as in production."""

    those = people or ScriptedPeople()

    class Running(AsyncExitStack):
        async def __aenter__(self) -> "Running":
            # Sooner than pytest's own limit, which leaves workers and servers hanging.
            await self.enter_async_context(asyncio.timeout(_LIMIT))
            activities: list[Callable[..., Any]] = [fakes.prepare, fakes.repair_answer, fakes.store_answer]
            activities += [fakes.split_text, fakes.read_chunks, fakes.keep_ledger]
            activities += [those.send_notice, those.note_approval]
            here: list[Callable[..., Any]] = [fakes.prepare_plain, fakes.store_answer, *those.here]
            await self.enter_async_context(
                Worker(client, task_queue=WORKFLOWS_QUEUE, workflows=PATTERNS, activities=here)
            )
            await self.enter_async_context(Worker(client, task_queue=DOCUMENTS_QUEUE, activities=activities))
            await self.enter_async_context(
                Worker(client, task_queue=models_queue("openai"), activities=[fakes.ask_model])
            )
            return self

    return Running()


async def failure(
    client: Client,
    fakes: ScriptedActivities,
    request: Any = (REQUEST,),
    run_id: str = "invoice-acme-1",
    kind: str = "chain",
) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(client, fakes, request, run_id, kind)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def until(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Returns as soon as it is so; fails after a minute."""
    async with asyncio.timeout(60):
        while True:
            so = is_so()
            if so if isinstance(so, bool) else await so:
                return
            await asyncio.sleep(0.02)


async def events(client: Client, run_id: str) -> list[HistoryEvent]:
    return list((await client.get_workflow_handle(run_id).fetch_history()).events)


def scheduled(history: list[HistoryEvent]) -> list[str]:
    """The activities of a run in order, without those that ran where the workflow does."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def must_wait(kind: str, seconds: float | None, cause: str = "", tried: int = 0) -> ApplicationError:
    return ApplicationError("not yet", seconds, cause, tried, type=kind, non_retryable=True)
