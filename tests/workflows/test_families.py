"""Runs in segments that must wait, fail or be cancelled, on a real server: the family shares money and fate."""

from decimal import Decimal

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import (
    AskRequest,
    BudgetRaise,
    BudgetState,
    Outcome,
    Reply,
)
from engross.names import BUDGET_QUERY, OUTCOME_ATTRIBUTE, RAISE_BUDGET_UPDATE, RESUME_SIGNAL
from tests.workflows.fakes import answered
from tests.workflows.harness import failure, must_wait, start, until, workers
from tests.workflows.map_reductions import document, entries, failing, numbers

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARKED = SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)


async def test_what_other_segments_spent_counts_when_one_fails(server: WorkflowEnvironment) -> None:
    """Two side by side: the second waits in the middle of its work when the first fails."""
    stuck = set[str]()

    def rule(request: AskRequest) -> Reply | Exception:
        if request.given:
            return failing("ProviderGarbled") if len(stuck) == 4 else must_wait("LimitReached", 1)
        if numbers(request.text.sha256)[0] <= 70:
            return answered(request)
        stuck.add(request.text.sha256)
        return must_wait("LimitReached", 86_400)

    fakes = document(128, rule, at_once=8, fan_in=64)
    error = await failure(server.client, fakes, run_id="side-by-side", kind="map_reduce")
    assert error.type == "ProviderGarbled"
    [stored] = fakes.stored
    assert (stored.result.calls, sum(each.calls for each in stored.spent)) == (70, 70)
    assert [entry.number for entry in entries(fakes)] == list(range(1, 71))


async def test_cancelling_cancels_segments_and_counts_what_they_spent(server: WorkflowEnvironment) -> None:
    def rule(request: AskRequest) -> Reply | Exception:
        number = int(request.text.sha256.removeprefix("chunk-"))
        return answered(request) if number % 64 < 11 else must_wait("LimitReached", 86_400)

    fakes = document(200, rule, at_once=8)
    async with workers(server.client, fakes):
        handle = await start(server.client, "cancelled", "map_reduce")
        await until(lambda: len([r for r in fakes.asked if rule_waits(r)]) >= 8)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        for first in (1, 65):
            child = await server.client.get_workflow_handle(f"cancelled-chunks-{first}").describe()
            assert child.status is WorkflowExecutionStatus.COMPLETED
    [stored] = fakes.stored
    assert (stored.result.outcome, stored.result.calls) == (Outcome.CANCELLED, 20)
    assert [entry.number for entry in entries(fakes)] == [*range(1, 11), *range(65, 75)]
    assert len(fakes.ledgers) == 2  # the third and the fourth never began


async def test_a_parent_that_is_terminated_takes_its_segments_along(server: WorkflowEnvironment) -> None:
    fakes = document(66, lambda request: must_wait("LimitReached", 86_400), at_once=4)
    async with workers(server.client, fakes):
        handle = await start(server.client, "terminated", "map_reduce")
        await until(lambda: len(fakes.asked) == 4)
        child = server.client.get_workflow_handle("terminated-chunks-1")
        await handle.terminate()
        await child.result()
        assert (await child.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert [len(request.entries) for request in fakes.ledgers] == [0]


def rule_waits(request: AskRequest) -> bool:
    return int(request.text.sha256.removeprefix("chunk-")) % 64 >= 11


# --- budget and parking -----------------------------------------------------------------------------------------------


async def test_a_segment_out_of_budget_parks_its_parent_whose_raise_wakes_it(server: WorkflowEnvironment) -> None:
    """All spend from one account."""

    def rule(request: AskRequest) -> Reply | Exception:
        is_over = request.text.sha256 == "chunk-66" and request.budget and request.budget.limit_usd < 1
        return must_wait("BudgetExhausted", None) if is_over else answered(request)

    fakes = document(70, rule, budget_usd=Decimal("0.5"))
    async with workers(server.client, fakes):
        handle = await start(server.client, "parks", "map_reduce")
        await until(lambda: is_parked(server, "parks"))
        told = await handle.query(BUDGET_QUERY, result_type=BudgetState)
        assert (told.waiting_for, told.budget and told.budget.limit_usd) == ("not yet", Decimal("0.5"))
        await handle.execute_update(RAISE_BUDGET_UPDATE, BudgetRaise(by_usd=Decimal(1), by="ann"))
        result = await handle.result()
        assert (await handle.query(BUDGET_QUERY, result_type=BudgetState)).waiting_for == ""
    assert (result.outcome, len(fakes.stored)) == (Outcome.DONE, 1)
    assert len({request.budget.account for request in fakes.asked if request.budget}) == 1
    assert all(request.budget for request in fakes.asked)
    limits = [request.budget.limit_usd for request in fakes.asked if request.budget and request.given]
    assert limits[-1] == Decimal("1.5")


async def test_resuming_the_parent_wakes_a_segment(server: WorkflowEnvironment) -> None:
    refusals = [must_wait("CircuitOpen", 86_400, "AuthenticationFailed")]

    def rule(request: AskRequest) -> Reply | Exception:
        return refusals.pop() if refusals and request.text.sha256 == "chunk-66" else answered(request)

    fakes = document(70, rule)
    async with workers(server.client, fakes):
        handle = await start(server.client, "resumed", "map_reduce")
        await until(lambda: is_parked(server, "resumed"))
        await handle.signal(RESUME_SIGNAL)
        assert (await handle.result()).outcome is Outcome.DONE


async def test_a_parent_no_longer_waits_for_a_segment_that_is_gone(server: WorkflowEnvironment) -> None:
    def rule(request: AskRequest) -> Reply | Exception:
        return must_wait("BudgetExhausted", None) if request.text.sha256 == "chunk-66" else answered(request)

    fakes = document(70, rule, budget_usd=Decimal("0.5"))
    async with workers(server.client, fakes):
        handle = await start(server.client, "gone", "map_reduce")
        await until(lambda: is_parked(server, "gone"))
        await server.client.get_workflow_handle("gone-chunks-65").terminate()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.query(BUDGET_QUERY, result_type=BudgetState)).waiting_for == ""
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]


async def is_parked(server: WorkflowEnvironment, run_id: str) -> bool:
    told = await server.client.get_workflow_handle(run_id).describe()
    return told.typed_search_attributes.get(PARKED) == Outcome.PARKED
