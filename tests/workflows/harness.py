"""Runs one chain with scripted activities, a worker for each queue, as in production."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from engross.contracts import RunResult
from engross.names import DOCUMENTS_QUEUE, WORKFLOWS_QUEUE, models_queue
from tests.workflows.fakes import ScriptedActivities
from workflows.chain import Chain

REQUEST: dict[str, Any] = {"job": "invoice", "document": {"uri": "blob:1", "name": "a.pdf"}, "tenant": "acme"}


async def run(
    client: Client, fakes: ScriptedActivities, request: Any = (REQUEST,), run_id: str = "invoice-acme-1"
) -> RunResult:
    """Runs one chain to its end."""
    async with workers(client, fakes):
        result: RunResult = await client.execute_workflow(
            "chain", args=request, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult
        )
        return result


def workers(client: Client, fakes: ScriptedActivities) -> AsyncExitStack:
    """One worker a queue, as in production."""

    class Running(AsyncExitStack):
        async def __aenter__(self) -> "Running":
            activities: list[Callable[..., Any]] = [fakes.prepare, fakes.repair_answer, fakes.store_answer]
            await self.enter_async_context(Worker(client, task_queue=WORKFLOWS_QUEUE, workflows=[Chain]))
            await self.enter_async_context(Worker(client, task_queue=DOCUMENTS_QUEUE, activities=activities))
            await self.enter_async_context(
                Worker(client, task_queue=models_queue("openai"), activities=[fakes.ask_model])
            )
            return self

    return Running()


async def failure(client: Client, fakes: ScriptedActivities, request: Any = (REQUEST,)) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(client, fakes, request)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


def must_wait(kind: str, seconds: float | None, cause: str = "", tried: int = 0) -> ApplicationError:
    return ApplicationError("not yet", seconds, cause, tried, type=kind, non_retryable=True)
