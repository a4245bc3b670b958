"""The batch workflow on the time-skipping server: every row gets its outcome, whatever happens to the others."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import (
    BatchProgress,
    BatchRequest,
    DocumentSource,
    ErrorInfo,
    Outcome,
    ReplyStatus,
    RunResult,
    WindowChange,
)
from engross.names import (
    OUTCOME_ATTRIBUTE,
    PAUSE_UPDATE,
    PROGRESS_QUERY,
    RESUME_SIGNAL,
    SET_WINDOW_UPDATE,
    UNPAUSE_UPDATE,
    WORKFLOWS_QUEUE,
)
from tests.workflows.batches import BatchActivities, failing, manifest, workers
from tests.workflows.fakes import reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST: dict[str, Any] = {"job": "invoice", "manifest": {"uri": "blob:1"}, "tenant": "acme"}


BATCHES = count(1)


async def started(client: Client, run_id: str = "", **request: Any) -> WorkflowHandle[Any, BatchProgress]:
    return await client.start_workflow(
        "batch",
        {**REQUEST, **request},
        id=run_id or f"batch-{next(BATCHES)}",
        task_queue=WORKFLOWS_QUEUE,
        result_type=BatchProgress,
    )


async def run(client: Client, fakes: BatchActivities, run_id: str = "", **request: Any) -> BatchProgress:
    async with workers(client, fakes):
        return await (await started(client, run_id, **request)).result()


async def until(is_so: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def is_parked(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        found = (await handle.describe()).typed_search_attributes
    except RPCError:
        return False  # it has not started yet
    return found.get(SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)) == Outcome.PARKED.value


async def test_every_document_is_a_row_and_costs_are_added_up(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(60))
    progress = await run(environment.client, fakes)
    assert fakes.outcomes() == {"done": 60}
    assert (progress.total, progress.counts.done, progress.ended, progress.running) == (60, 60, 60, 0)
    assert (progress.counts.calls, progress.counts.cost_usd) == (60, Decimal("0.060"))
    assert {row.run_id for row in fakes.stored} == {f"run-{number}" for number in range(1, 61)}
    assert fakes.stores < 20


async def test_the_window_bounds_the_documents_in_flight(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(40))
    await run(environment.client, fakes, at_once=7, group=10)
    assert len(fakes.asked) == 40
    assert fakes.most_in_flight <= 7


async def test_poison_is_one_failed_row(environment: WorkflowEnvironment) -> None:
    rows = manifest(30)
    rows[4] = rows[4].model_copy(update={"error": ErrorInfo(type="BadManifest", message="line 5")})
    rows[9] = rows[9].model_copy(update={"duplicate_of": 2})
    fakes = BatchActivities(
        rows,
        replies={
            "7": [failing("ContextTooLong")],
            "8": [reply(ReplyStatus.REFUSED)],
            "20": [failing("Unexpected")],
        },
        unreadable={"12": failing("EncryptedDocument")},
    )
    progress = await run(environment.client, fakes)
    assert fakes.outcomes() == {"done": 24, "failed": 4, "needs_approval": 1, "duplicate": 1}
    failed = {row.row: row.error.type for row in fakes.stored if row.outcome == "failed" and row.error}
    assert failed == {5: "BadManifest", 7: "ContextTooLong", 20: "Unexpected", 12: "EncryptedDocument"}
    assert (progress.counts.failed, progress.counts.needs_approval, progress.counts.duplicate) == (4, 1, 1)


async def test_a_document_that_parks_goes_on_in_a_run_of_its_own(environment: WorkflowEnvironment) -> None:
    spent = failing("BudgetExhausted", 1.0, "tenant", 0)
    invalid = reply(ReplyStatus.INVALID)
    fakes = BatchActivities(manifest(3), replies={"2": [invalid, spent, reply()]})
    async with workers(environment.client, fakes):
        progress = await (await started(environment.client, "moves")).result()
        result = await environment.client.get_workflow_handle("moves-2", result_type=RunResult).result()
    assert fakes.outcomes() == {"done": 2, "parked": 1}
    assert progress.counts.parked == 1
    [parked] = [row for row in fakes.stored if row.outcome == "parked"]
    assert (parked.run_id, parked.error and parked.error.type) == ("moves-2", "BudgetExhausted")
    assert result.calls == 2, "what the batch had paid for is in its accounts too"
    scopes = {request.scope for request in fakes.asked if request.text.sha256 == "2"}
    assert len(scopes) == 1
    assert scopes != {""}, "it finds the replies of the batch again"
    [stored] = fakes.stored_alone
    assert sum(spent.calls for spent in stored.spent) == 2


async def test_rows_that_could_not_be_stored_are_stored_with_the_next(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(25), stores_that_fail=1)
    progress = await run(environment.client, fakes, at_once=25)
    assert fakes.outcomes() == {"done": 25}
    assert progress.counts.done == 25


async def test_when_every_document_has_to_wait_the_group_does(environment: WorkflowEnvironment) -> None:
    spent = failing("BudgetExhausted", None, "tenant", 0)
    fakes = BatchActivities(manifest(12), replies={str(number): [spent] for number in range(1, 4)})
    client = environment.client
    async with workers(client, fakes):
        handle = await started(client, "holds", at_once=1, group=12)
        group = client.get_workflow_handle("holds-rows-1")
        async with asyncio.timeout(20):
            while not await is_parked(group):  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
        own = [await client.get_workflow_handle(f"holds-{row}").result() for row in (1, 2, 3)]
        assert len(own) == 3
        assert len([request for request in fakes.asked if request.scope]) == 6, "nobody else was asked about"
        await group.signal(RESUME_SIGNAL)
        progress = await handle.result()
    assert fakes.outcomes() == {"done": 9, "parked": 3}
    assert progress.counts.parked == 3


async def test_documents_of_other_patterns_get_runs_of_their_own(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(3), pattern="fan_out", unreadable={"2": failing("CorruptDocument")})
    progress = await run(environment.client, fakes, "apart")
    # One step is no fan-out: its plan fails by name, which is what this test needs of it.
    assert progress.counts.ended == 3
    assert {row.run_id for row in fakes.stored} == {"apart-1", "apart-2", "apart-3"}
    assert all(row.run is None for row in fakes.stored)


async def test_a_group_that_cannot_be_read_is_failed_rows(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(30), group_error=failing("CorruptDocument"))
    progress = await run(environment.client, fakes, group=20)
    assert fakes.outcomes() == {"failed": 30}
    assert progress.counts.failed == 30


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({"job": "../x"}, "InvalidRequest"), ({"manifest": 5}, "InvalidRequest"), ({"at_once": 0}, "InvalidRequest")],
)
async def test_wrong_input_has_a_name(environment: WorkflowEnvironment, request_: Any, expected: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(environment.client, BatchActivities([]), **request_)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == expected


async def test_an_empty_batch_has_a_name(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities([], plan_error=failing("EmptyBatch"))
    with pytest.raises(WorkflowFailureError) as caught:
        await run(environment.client, fakes)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "EmptyBatch"


async def test_pause_window_and_progress(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(30), gate=asyncio.Event())
    async with workers(environment.client, fakes):
        handle = await started(environment.client, at_once=4, group=5)
        await until(lambda: len(fakes.asked) == 4)
        paused = await handle.execute_update(PAUSE_UPDATE, result_type=BatchProgress)
        assert paused.is_paused
        assert fakes.gate is not None
        fakes.gate.set()
        await until(lambda: fakes.in_flight == 0)
        asked = len(fakes.asked)
        assert asked < 30, "the pause came before the end"
        wider = await handle.execute_update(SET_WINDOW_UPDATE, WindowChange(at_once=10), result_type=BatchProgress)
        assert (wider.at_once, wider.is_paused) == (10, True)
        assert len(fakes.asked) == asked
        await handle.execute_update(UNPAUSE_UPDATE)
        assert (await handle.result()).counts.done == 30
        told: BatchProgress = await handle.query(PROGRESS_QUERY, result_type=BatchProgress)
        assert (told.counts.done, told.total, told.running) == (30, 30, 0)


async def test_cancelling_names_what_was_in_flight(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(30), gate=asyncio.Event())
    async with workers(environment.client, fakes):
        handle = await started(environment.client, at_once=4, group=10)
        await until(lambda: len(fakes.asked) == 4)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert fakes.gate is not None
        fakes.gate.set()
        assert isinstance(caught.value.cause, CancelledError)
        told: BatchProgress = await handle.query(PROGRESS_QUERY, result_type=BatchProgress)
    assert set(fakes.outcomes()) <= {"cancelled", "done"}
    assert told.counts.ended == len(fakes.stored)
    assert told.counts.cancelled > 0


async def test_a_long_batch_continues_as_new_and_forgets_nothing(environment: WorkflowEnvironment) -> None:
    fakes = BatchActivities(manifest(50))
    request = BatchRequest(job="invoice", tenant="acme", manifest=DocumentSource(uri="blob:1"), at_once=8, group=5)
    # As a first execution would have left it.
    half = await run(environment.client, fakes, **request.model_dump(exclude={"job", "tenant", "manifest"}))
    assert half.counts.done == 50
    state = {"next_row": 26, "counts": {"done": 25, "cost_usd": "0.025"}, "at_once": 8}
    more = BatchActivities(manifest(50))
    rest = await run(environment.client, more, state=state, group=5)
    assert (len(more.stored), rest.counts.done, rest.counts.cost_usd) == (25, 50, Decimal("0.050"))
