"""The chain workflow on the time-skipping server, with scripted activities."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from engross.contracts import Outcome, ReplyStatus, RunRequest, RunResult, Usage
from engross.names import DOCUMENTS_QUEUE, SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE, models_queue
from tests.workflows.fakes import ScriptedActivities, reply, step
from workers.search_attributes import add_search_attributes
from workflows.chain import Chain

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST: dict[str, Any] = {"job": "invoice", "document": {"uri": "blob:1", "name": "a.pdf"}, "tenant": "acme"}
INVALID = ReplyStatus.INVALID


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(time_skipping_binary: str) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=time_skipping_binary, data_converter=pydantic_data_converter
    ) as environment:
        await add_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        yield environment


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


async def test_a_clean_document_takes_three_steps(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities()
    result = await run(environment.client, fakes)
    assert result.outcome is Outcome.DONE
    assert (result.calls, result.repairs, result.cost_usd) == (1, 0, Decimal("0.001"))
    assert result.usage == Usage(input_tokens=100, output_tokens=10)
    assert [request.result.outcome for request in fakes.stored] == [Outcome.DONE]
    history = await environment.client.get_workflow_handle("invoice-acme-1").fetch_history()
    scheduled = [e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")]
    assert len(scheduled) == 3


async def test_each_step_sees_the_answer_before(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(), reply()], steps=[step("first"), step("second")])
    await run(environment.client, fakes)
    assert [request.previous for request in fakes.asked] == [None, reply().answer]


async def test_code_mends_before_a_model_is_asked_again(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(INVALID)], fixes=[reply(cost="0", calls=0)])
    result = await run(environment.client, fakes)
    assert (result.outcome, result.calls, result.repairs) == (Outcome.DONE, 1, 1)


async def test_a_reask_carries_the_draft_and_is_counted(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(INVALID), reply()])
    result = await run(environment.client, fakes)
    assert (result.outcome, result.calls, result.repairs) == (Outcome.DONE, 2, 2)
    assert fakes.asked[1].draft is not None
    spent = [(each.model, each.calls, each.cost_usd) for each in fakes.stored[0].spent]
    assert spent == [("openai:stand-in", 1, Decimal("0.001"))] * 2
    assert result.cost_usd == Decimal("0.002")


@pytest.mark.parametrize("repairs", [0, 1, 3])
async def test_repairs_end_with_a_person(environment: WorkflowEnvironment, repairs: int) -> None:
    fakes = ScriptedActivities(replies=[reply(INVALID)] * 10, steps=[step(repairs=repairs)])
    result = await run(environment.client, fakes)
    assert result.outcome is Outcome.NEEDS_APPROVAL
    assert result.error is not None
    assert (result.error.type, result.calls) == ("InvalidAnswer", 1 + repairs)
    assert "total (missing)" in result.error.message


async def test_a_refusal_is_not_retried_and_goes_to_a_person(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.REFUSED), reply()])
    result = await run(environment.client, fakes)
    assert (result.outcome, result.calls) == (Outcome.NEEDS_APPROVAL, 1)


async def test_a_truncated_reply_is_asked_for_once_more_with_twice_the_room(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.TRUNCATED), reply()])
    result = await run(environment.client, fakes)
    assert (result.outcome, result.calls, result.repairs) == (Outcome.DONE, 2, 1)
    assert [request.step.max_output_tokens for request in fakes.asked] == [100, 200]


async def test_a_reply_truncated_twice_fails_by_name_and_is_recorded(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[*[reply(ReplyStatus.TRUNCATED)] * 2, reply()])
    error = await failure(environment.client, fakes)
    assert error.type == "TruncatedAnswer"
    [stored] = fakes.stored
    assert (stored.result.outcome, stored.result.calls, stored.result.answer) == (Outcome.FAILED, 2, None)


def models(fakes: ScriptedActivities) -> list[str]:
    return [request.model.model for request in fakes.asked]


@pytest.mark.parametrize(
    ("kind", "tries"),
    [("ProviderOverloaded", 2), ("ProviderTimeout", 2), ("AuthenticationFailed", 1), ("ContextTooLong", 1)],
)
async def test_trouble_of_one_model_moves_on_to_the_next(
    environment: WorkflowEnvironment, kind: str, tries: int
) -> None:
    trouble = [ApplicationError("trouble", type=kind, non_retryable=tries == 1) for _ in range(tries)]
    fakes = ScriptedActivities(replies=[*trouble, reply()], steps=[step(models=("first", "second"))])
    result = await run(environment.client, fakes)
    assert result.outcome is Outcome.DONE
    assert models(fakes) == ["first"] * tries + ["second"]


async def test_the_last_model_is_tried_as_often_as_a_lone_one(environment: WorkflowEnvironment) -> None:
    busy = [ApplicationError("busy", type="ProviderOverloaded") for _ in range(20)]
    fakes = ScriptedActivities(replies=list(busy), steps=[step(models=("first", "second"))])
    assert (await failure(environment.client, fakes)).type == "ProviderOverloaded"
    assert models(fakes) == ["first"] * 2 + ["second"] * 8


async def test_an_answer_that_stays_invalid_goes_to_the_next_model_then_to_a_person(
    environment: WorkflowEnvironment,
) -> None:
    fakes = ScriptedActivities(replies=[reply(INVALID)] * 9, steps=[step(models=("first", "second"))])
    result = await run(environment.client, fakes)
    assert (result.outcome, models(fakes)) == (Outcome.NEEDS_APPROVAL, ["first", "first", "second", "second"])


@pytest.mark.parametrize("status", [ReplyStatus.REFUSED, ReplyStatus.FILTERED])
async def test_a_refusal_is_not_shopped_around(environment: WorkflowEnvironment, status: ReplyStatus) -> None:
    fakes = ScriptedActivities(replies=[reply(status), reply()], steps=[step(models=("first", "second"))])
    result = await run(environment.client, fakes)
    assert (result.outcome, models(fakes)) == (Outcome.NEEDS_APPROVAL, ["first"])


async def test_a_failing_step_fails_the_run_with_its_name(environment: WorkflowEnvironment) -> None:
    broken = ApplicationError("needs a password", type="EncryptedDocument", non_retryable=True)
    fakes = ScriptedActivities(prepare_error=broken)
    error = await failure(environment.client, fakes)
    assert (error.type, error.message) == ("EncryptedDocument", "needs a password")
    assert fakes.stored[0].result.error is not None
    assert fakes.stored[0].result.error.type == "EncryptedDocument"


async def test_temporal_retries_what_is_retryable(environment: WorkflowEnvironment) -> None:
    busy: list[Any] = [ApplicationError("busy", type="ProviderOverloaded") for _ in range(3)]
    fakes = ScriptedActivities(replies=[*busy, reply()])
    result = await run(environment.client, fakes)
    assert (result.outcome, len(fakes.asked)) == (Outcome.DONE, 4)


async def test_retries_end_with_the_last_errors_name(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[ApplicationError("busy", type="ProviderOverloaded") for _ in range(20)])
    error = await failure(environment.client, fakes)
    assert (error.type, len(fakes.asked)) == ("ProviderOverloaded", 8)


async def test_an_oversized_result_is_not_paid_for_again(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[ApplicationError("too big", type="PayloadsTooLarge"), reply()])
    error = await failure(environment.client, fakes)
    assert (error.type, len(fakes.asked)) == ("PayloadsTooLarge", 1)


async def test_an_unknown_price_is_never_counted_as_zero(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(INVALID), reply(cost=None)])
    assert (await run(environment.client, fakes)).cost_usd is None


async def test_a_job_of_another_pattern_is_named(environment: WorkflowEnvironment) -> None:
    error = await failure(environment.client, ScriptedActivities(pattern="map_reduce"))
    assert error.type == "InvalidRequest"
    assert "map_reduce" in error.message


@pytest.mark.parametrize(
    "request_",
    [
        [{"job": "invoice", "document": {"uri": "file:///x"}, "tenent": "acme"}],
        [{"job": 5}],
        [{"job": "../etc", "document": {"uri": "file:///x"}}],
        [{"job": "invoice", "document": {"uri": "file:///x"}, "tenant": "a\u202eb"}],
        [{"job": "invoice"}],
        ["invoice"],
        [[]],
        [None],
        [],
    ],
)
async def test_input_typed_wrongly_by_hand_fails_instead_of_hanging(
    environment: WorkflowEnvironment, request_: Any
) -> None:
    fakes = ScriptedActivities()
    assert (await failure(environment.client, fakes, request_)).type == "InvalidRequest"
    assert fakes.stored == []


async def test_a_run_started_by_hand_can_be_found(environment: WorkflowEnvironment) -> None:
    await run(environment.client, ScriptedActivities(), run_id="by-hand")
    found = (await environment.client.get_workflow_handle("by-hand").describe()).typed_search_attributes
    assert [found.get(SearchAttributeKey.for_keyword(name)) for name in SEARCH_ATTRIBUTES] == [
        "invoice",
        "acme",
        "done",
    ]


async def test_cancelling_is_recorded(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[ApplicationError("busy", type="ProviderOverloaded") for _ in range(20)])
    async with workers(environment.client, fakes):
        handle = await environment.client.start_workflow(
            "chain", RunRequest(**REQUEST), id="cancelled", task_queue=WORKFLOWS_QUEUE
        )
        async with asyncio.timeout(20):
            await fakes.first_ask.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert [request.result.outcome for request in fakes.stored] == [Outcome.CANCELLED]


async def test_a_cancellation_that_comes_while_storing_comes_too_late(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(may_store=asyncio.Event())
    async with workers(environment.client, fakes):
        handle = await environment.client.start_workflow(
            "chain", RunRequest(**REQUEST), id="too-late", task_queue=WORKFLOWS_QUEUE, result_type=RunResult
        )
        async with asyncio.timeout(20):
            await fakes.storing.wait()
            await handle.cancel()
            while not [
                e
                async for e in handle.fetch_history_events()
                if e.HasField("workflow_execution_cancel_requested_event_attributes")
            ]:
                pass
        fakes.may_store.set()
        assert (await handle.result()).outcome is Outcome.DONE
    assert [request.result.outcome for request in fakes.stored] == [Outcome.DONE]


def must_wait(kind: str, seconds: float) -> ApplicationError:
    return ApplicationError("not yet", seconds, type=kind, non_retryable=True)


async def timers(client: Client, run_id: str) -> list[float]:
    """The durations of a run's timers, in seconds."""
    history = await client.get_workflow_handle(run_id).fetch_history()
    started = [e.timer_started_event_attributes for e in history.events if e.HasField("timer_started_event_attributes")]
    return [attributes.start_to_fire_timeout.ToTimedelta().total_seconds() for attributes in started]


async def test_a_run_waits_for_its_turn_on_a_timer_for_as_long_as_it_takes(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[*(must_wait("LimitReached", 40) for _ in range(20)), reply()])
    result = await run(environment.client, fakes, run_id="in-turn")
    assert (result.outcome, result.calls, result.repairs) == (Outcome.DONE, 1, 0)
    waits = await timers(environment.client, "in-turn")
    assert len(waits) == 20
    assert all(40 <= wait <= 50 for wait in waits)
    assert len(set(waits)) > 1


async def test_an_outage_moves_on_at_once_where_there_is_another_model(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(
        replies=[must_wait("CircuitOpen", 30), reply()], steps=[step(models=("first", "second"))]
    )
    await run(environment.client, fakes, run_id="moved-on")
    assert models(fakes) == ["first", "second"]
    assert await timers(environment.client, "moved-on") == []


async def test_the_last_model_waits_out_an_outage_but_not_for_ever(environment: WorkflowEnvironment) -> None:
    over = ScriptedActivities(replies=[*(must_wait("CircuitOpen", 30) for _ in range(6)), reply()])
    assert (await run(environment.client, over, run_id="waited-out")).outcome is Outcome.DONE
    lasting = ScriptedActivities(replies=[must_wait("CircuitOpen", 30) for _ in range(20)])
    assert (await failure(environment.client, lasting)).type == "CircuitOpen"
    assert len(lasting.asked) == 7
