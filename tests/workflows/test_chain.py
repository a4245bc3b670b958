"""The chain workflow on the time-skipping server: how runs go, end, and are recorded."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import Outcome, ReplyStatus, RunRequest, RunResult, Usage
from engross.names import SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE
from tests.workflows.fakes import ScriptedActivities, reply, step
from tests.workflows.harness import REQUEST, events, failure, run, scheduled, workers

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_clean_document_takes_three_steps(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities()
    result = await run(environment.client, fakes)
    assert result.outcome is Outcome.DONE
    assert (result.calls, result.repairs, result.cost_usd) == (1, 0, Decimal("0.001"))
    assert result.usage == Usage(input_tokens=100, output_tokens=10)
    assert [request.result.outcome for request in fakes.stored] == [Outcome.DONE]
    assert scheduled(await events(environment.client, "invoice-acme-1")) == ["prepare", "ask_model", "store_answer"]


async def test_plain_text_is_read_and_stored_where_the_workflow_runs(environment: WorkflowEnvironment) -> None:
    request = {**REQUEST, "document": {**REQUEST["document"], "media_type": "text/plain"}}
    fakes = ScriptedActivities(stores_here=True)
    assert (await run(environment.client, fakes, [request], "plain")).outcome is Outcome.DONE
    assert fakes.here == ["prepare_plain", "store_answer"]
    assert scheduled(await events(environment.client, "plain")) == ["ask_model"]


async def test_what_only_claims_to_be_plain_text_is_read_by_the_parsers(environment: WorkflowEnvironment) -> None:
    request = {**REQUEST, "document": {**REQUEST["document"], "media_type": "text/plain"}}
    fakes = ScriptedActivities(is_plain=False)
    assert (await run(environment.client, fakes, [request], "not-plain")).outcome is Outcome.DONE
    assert fakes.here == ["prepare_plain"]
    assert scheduled(await events(environment.client, "not-plain")) == ["prepare", "ask_model", "store_answer"]


async def test_each_step_sees_the_answer_before(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(), reply()], steps=[step("first"), step("second")])
    await run(environment.client, fakes)
    assert [request.previous for request in fakes.asked] == [None, reply().answer]


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


@pytest.mark.fault(21)
async def test_retries_end_with_the_last_errors_name(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[ApplicationError("busy", type="ProviderOverloaded") for _ in range(20)])
    error = await failure(environment.client, fakes)
    assert (error.type, len(fakes.asked)) == ("ProviderOverloaded", 10)


async def test_an_oversized_result_is_not_paid_for_again(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[ApplicationError("too big", type="PayloadsTooLarge"), reply()])
    error = await failure(environment.client, fakes)
    assert (error.type, len(fakes.asked)) == ("PayloadsTooLarge", 1)


async def test_an_unknown_price_is_never_counted_as_zero(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.INVALID), reply(cost=None)])
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
