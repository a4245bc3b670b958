"""Runs that wait for a person: a key, credit, a budget. They show it, go on by themselves, and end by name at last."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import BudgetRaise, BudgetState, Outcome, Reply, ReplyStatus, RunResult
from engross.names import BUDGET_QUERY, RAISE_BUDGET_UPDATE, RESUME_SIGNAL, WORKFLOWS_QUEUE
from tests.workflows.fakes import ScriptedActivities, reply, step
from tests.workflows.harness import REQUEST, failure, must_wait, run, workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEN_CENTS = Decimal("0.10")


def wrong_key() -> ApplicationError:
    return ApplicationError("the key is refused; correct it", type="AuthenticationFailed", non_retryable=True)


def no_budget() -> ApplicationError:
    return must_wait("BudgetExhausted", None)


def asked(fakes: ScriptedActivities) -> list[str]:
    return [request.model.model for request in fakes.asked]


async def start(client: Client, run_id: str) -> WorkflowHandle[Any, RunResult]:
    return await client.start_workflow("chain", REQUEST, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult)


async def state(handle: WorkflowHandle[Any, RunResult]) -> BudgetState:
    told: BudgetState = await handle.query(BUDGET_QUERY, result_type=BudgetState)
    return told


async def until_parked(handle: WorkflowHandle[Any, RunResult]) -> str:
    """The reason, once the run waits for somebody."""
    for _ in range(500):
        waiting_for = (await state(handle)).waiting_for
        if waiting_for:
            return waiting_for
        await asyncio.sleep(0.02)
    raise AssertionError("the run never parked")


def raised(by: str) -> BudgetRaise:
    return BudgetRaise(by_usd=Decimal(by), by="ann")


@pytest.mark.parametrize("kind", ["AuthenticationFailed", "QuotaExhausted"])
async def test_a_run_outlasts_a_refused_key_and_goes_on_by_itself(environment: WorkflowEnvironment, kind: str) -> None:
    refused = ApplicationError("refused", type=kind, non_retryable=True)
    open_circuits = [must_wait("CircuitOpen", 600, kind) for _ in range(40)]
    fakes = ScriptedActivities(replies=[refused, *open_circuits, reply()])
    result = await run(environment.client, fakes, run_id=f"outlasts-{kind}")
    assert (result.outcome, result.calls, len(fakes.asked)) == (Outcome.DONE, 1, 42)


async def test_a_parked_run_shows_why_and_a_signal_wakes_it(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[wrong_key(), reply()])
    async with workers(environment.client, fakes):
        handle = await start(environment.client, "woken")
        assert await until_parked(handle) == "the key is refused; correct it"
        with environment.auto_time_skipping_disabled():  # so that only the signal can wake it
            await handle.signal(RESUME_SIGNAL)
            result = await handle.result()
        assert result.outcome is Outcome.DONE
        assert (await state(handle)).waiting_for == ""


async def test_a_spent_budget_parks_the_run_until_it_is_raised(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.INVALID), no_budget(), reply()], budget_usd=TEN_CENTS)
    async with workers(environment.client, fakes):
        handle = await start(environment.client, "raised")
        await until_parked(handle)
        told = await handle.execute_update(RAISE_BUDGET_UPDATE, raised("0.25"), result_type=BudgetState)
        assert told.budget is not None
        assert told.waiting_for == ""
        assert (told.budget.limit_usd, told.raised_usd, told.spent_usd) == (
            Decimal("0.35"),
            Decimal("0.25"),
            Decimal("0.001"),
        )
        assert (await handle.result()).outcome is Outcome.DONE
    budgets = [request.budget.limit_usd if request.budget else None for request in fakes.asked]
    assert budgets == [TEN_CENTS, TEN_CENTS, Decimal("0.35")]
    assert len({request.budget.account for request in fakes.asked if request.budget}) == 1


@pytest.mark.parametrize("by", ["0", "-1", "NaN", "1e9"])
async def test_a_raise_that_makes_no_sense_is_refused(environment: WorkflowEnvironment, by: str) -> None:
    fakes = ScriptedActivities(replies=[no_budget(), reply()], budget_usd=TEN_CENTS)
    async with workers(environment.client, fakes):
        handle = await start(environment.client, f"refused-{by.lower()}")
        await until_parked(handle)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(RAISE_BUDGET_UPDATE, {"by_usd": by})
        await handle.execute_update(RAISE_BUDGET_UPDATE, raised("1"))
        await handle.result()


async def test_a_run_without_a_budget_of_its_own_says_so(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[wrong_key(), reply()])
    async with workers(environment.client, fakes):
        handle = await start(environment.client, "no-budget")
        await until_parked(handle)
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update(RAISE_BUDGET_UPDATE, raised("1"))
        assert "no budget of its own" in str(caught.value.cause)
        await handle.signal(RESUME_SIGNAL)
        await handle.result()


async def test_nobody_acts_for_six_days(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.INVALID), no_budget(), no_budget(), reply()])
    error = await failure(environment.client, fakes)
    assert (error.type, "waited 6 days" in error.message) == ("BudgetExhausted", True)
    [stored] = fakes.stored
    assert (stored.result.outcome, len(stored.spent)) == (Outcome.FAILED, 1)


async def test_cancelling_a_parked_run_stores_what_it_cost(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.INVALID), no_budget()])
    async with workers(environment.client, fakes):
        handle = await start(environment.client, "cancelled")
        await until_parked(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert [(each.result.outcome, each.result.calls) for each in fakes.stored] == [(Outcome.CANCELLED, 1)]


BOTH = ("first", "second")


@pytest.mark.parametrize(
    ("replies", "models"),
    [
        pytest.param([wrong_key(), wrong_key(), reply()], ["first", "second", "first"], id="both-refuse"),
        pytest.param(
            [wrong_key(), must_wait("CircuitOpen", 30), reply()], ["first", "second", "first"], id="second-is-down"
        ),
        pytest.param(
            [reply(ReplyStatus.INVALID), wrong_key(), reply()], ["first", "second", "second"], id="first-had-its-say"
        ),
        pytest.param([no_budget(), reply()], ["first", "first"], id="no-model-helps-against-a-spent-budget"),
    ],
)
async def test_after_the_wait_the_route_starts_with_the_first_model_that_was_silent(
    environment: WorkflowEnvironment, replies: Sequence[Reply | Exception], models: list[str]
) -> None:
    fakes = ScriptedActivities(replies=list(replies), steps=[step(models=BOTH, repairs=0)])
    async with workers(environment.client, fakes):
        handle = await start(environment.client, f"route-{'-'.join(models)}-{len(replies)}")
        for _ in range(500):
            if len(fakes.replies) <= 1:
                break
            await asyncio.sleep(0.02)
        await handle.signal(RESUME_SIGNAL)
        result = await handle.result()
    assert (result.outcome, asked(fakes)) == (Outcome.DONE, models)
