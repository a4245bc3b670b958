"""From question to answer: repairs, truncation, routes of models, waiting for a turn."""

from decimal import Decimal

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import Outcome, Reply, ReplyStatus
from tests.workflows.fakes import ScriptedActivities, reply, step
from tests.workflows.harness import failure, must_wait, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
INVALID = ReplyStatus.INVALID


def lost(kind: str, calls: int) -> ApplicationError:
    return ApplicationError("vanished", calls, type=kind, non_retryable=True)


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
    assert models(fakes) == ["first"] * 2 + ["second"] * 10


@pytest.mark.fault(21)
async def test_waits_in_between_give_no_further_attempts(environment: WorkflowEnvironment) -> None:
    busy = [ApplicationError("busy", type="ProviderOverloaded") for _ in range(40)]
    script = [*busy[:4], must_wait("CircuitOpen", 30, tried=4), *busy[:2], must_wait("LimitReached", 9, tried=2), *busy]
    fakes = ScriptedActivities(replies=list(script))
    assert (await failure(environment.client, fakes)).type == "ProviderOverloaded"
    assert len(fakes.asked) == 10 + 2
    assert [request.tried for request in fakes.asked] == [0] * 5 + [4] * 3 + [6] * 4


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    ("replies", "outcome", "calls"),
    [
        pytest.param([lost("BillingUnclear", 2)], Outcome.FAILED, 0, id="last model"),
        pytest.param([lost("ProviderTimeout", 2), reply()], Outcome.DONE, 1, id="moved on"),
    ],
)
async def test_calls_that_vanished_for_good_are_in_the_accounts(
    environment: WorkflowEnvironment, replies: list[Reply | Exception], outcome: Outcome, calls: int
) -> None:
    models = ("first", "second") if calls else ("first",)
    fakes = ScriptedActivities(replies=list(replies), steps=[step(models=models)])
    if outcome is Outcome.FAILED:
        assert (await failure(environment.client, fakes)).type == "BillingUnclear"
    else:
        await run(environment.client, fakes, run_id="vanished")
    [stored] = fakes.stored
    result = stored.result
    assert (result.outcome, result.calls, result.maybe_billed, result.cost_usd) == (outcome, calls, 2, None)
    assert (stored.spent[0].status, stored.spent[0].maybe_billed) == (ReplyStatus.LOST, 2)


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


async def timers(client: Client, run_id: str) -> list[float]:
    """The durations of a run's timers, in seconds."""
    history = await client.get_workflow_handle(run_id).fetch_history()
    started = [e.timer_started_event_attributes for e in history.events if e.HasField("timer_started_event_attributes")]
    return [attributes.start_to_fire_timeout.ToTimedelta().total_seconds() for attributes in started]


async def timers_named(client: Client, run_id: str) -> list[str]:
    """What a run's timers are for."""
    history = await client.get_workflow_handle(run_id).fetch_history()
    summaries = [e.user_metadata.summary for e in history.events if e.HasField("timer_started_event_attributes")]
    return [str(client.data_converter.payload_converter.from_payload(summary, str)) for summary in summaries]


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


async def test_the_last_model_waits_out_an_outage_however_long(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[*(must_wait("CircuitOpen", 600) for _ in range(20)), reply()])
    assert (await run(environment.client, fakes, run_id="waited-out")).outcome is Outcome.DONE
    assert len(fakes.asked) == 21
    parked = [name for name in await timers_named(environment.client, "waited-out") if name.startswith("parked")]
    assert len(parked) == 14  # after half an hour it shows
