"""How runs end is counted when the store learns of it: once, whoever repeats it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from activities.ports import RunReport
from activities.storage import ResultStore
from engross.contracts import ErrorInfo, Outcome, RowOutcome, RunResult, StoreGroupRequest, StoreRequest
from engross.errors import InvalidRequest
from tests.metrics import counted

EARLY, LATE = "2026-01-01T10:00:00+00:00", "2026-01-01T11:00:00+00:00"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResultStore]:
    store = ResultStore.open(f"sqlite+aiosqlite:///{tmp_path / 'results.db'}")
    await store.start()
    yield store
    await store.close()


def report(outcome: str = "done", run_id: str = "run-1", started_at: str = EARLY, **fields: Any) -> StoreRequest:
    values = {"run_id": run_id, "job": "invoice", "tenant": "acme", "outcome": outcome, **fields}
    return StoreRequest(result=RunResult.model_validate(values), started_at=started_at)


def runs(outcome: str, job: str = "invoice") -> str:
    return f"engross_runs_total{{job={job},outcome={outcome},tenant=acme}}"


ENDED = "engross_run_seconds_count{job=invoice}"


async def test_an_end_counts_once_however_often_it_is_told(store: ResultStore) -> None:
    with counted() as grown:
        await asyncio.gather(*(store.put(report(), b"1") for _ in range(5)))
    assert grown == {runs("done"): 1, ENDED: 1}


async def test_what_comes_after_waiting_is_counted_as_well(store: ResultStore) -> None:
    with counted() as grown:
        for outcome in ("parked", "parked", "needs_approval", "done"):
            await store.put(report(outcome), None)
    assert grown == {runs("parked"): 1, runs("needs_approval"): 1, runs("done"): 1, ENDED: 1}


async def test_a_newer_run_counts_and_an_older_one_does_not(store: ResultStore) -> None:
    with counted() as grown:
        await store.put(report(started_at=LATE), b"1")
        await store.put(report("failed"), None)
        await store.put(report(started_at="2026-01-02T00:00:00+00:00"), b"1")
    assert grown == {runs("done"): 2, ENDED: 2}


async def test_errors_are_counted_by_name(store: ResultStore) -> None:
    error = ErrorInfo(type="EncryptedDocument", message="needs a password")
    with counted() as grown:
        await store.put(report("failed", error=error), None)
    assert grown["engross_run_errors_total{error=EncryptedDocument,job=invoice,tenant=acme}"] == 1


async def test_a_name_that_no_job_has_is_no_label(store: ResultStore) -> None:
    error = ErrorInfo(type="UnknownJob", message="no such job")
    with counted() as grown:
        await store.put(report("failed", job="whatever-somebody-typed", error=error), None)
    assert grown[runs("failed", job="other")] == 1
    assert not [name for name in grown if "whatever" in name]


@pytest.mark.parametrize(("ago", "seconds"), [(90, 90), (-90, 0)])
async def test_the_time_of_a_run_is_never_negative(store: ResultStore, ago: int, seconds: int) -> None:
    def total() -> float:
        return REGISTRY.get_sample_value("engross_run_seconds_sum", {"job": "invoice"}) or 0.0

    before = total()
    await store.put(report(started_at=(datetime.now(UTC) - timedelta(seconds=ago)).isoformat()), None)
    assert total() - before == pytest.approx(seconds, abs=45)


async def test_rows_of_a_batch_are_counted_with_their_runs(store: ResultStore) -> None:
    same = [report(run_id="run-1"), report(run_id="run-1"), report("failed", run_id="run-2")]
    outcomes = [
        RowOutcome(row=number, run_id=run.result.run_id, name="", uri="", outcome=run.result.outcome.value, run=run)
        for number, run in enumerate(same, 1)
    ]
    outcomes.append(RowOutcome(row=4, run_id="run-2", name="", uri="", outcome="duplicate"))
    group = StoreGroupRequest(batch_id="b", tenant="acme", job="invoice", started_at=EARLY, rows=tuple(outcomes))
    with counted() as grown:
        for _ in range(2):
            await store.put_group(group, [RunReport(run, b"1") for run in same])
    rows = {name: count for name, count in grown.items() if name.startswith("engross_batch_rows")}
    assert rows == {
        f"engross_batch_rows_total{{job=invoice,outcome={outcome},tenant=acme}}": count
        for outcome, count in ((Outcome.DONE, 2), (Outcome.FAILED, 1), ("duplicate", 1))
    }
    assert (grown[runs("done")], grown[runs("failed")]) == (1, 1)


async def test_of_two_reports_on_a_run_in_one_group_the_newer_run_wins(store: ResultStore) -> None:
    both = [report("done", started_at=LATE), report("failed")]
    group = StoreGroupRequest(batch_id="b", tenant="acme", job="invoice", started_at=EARLY, rows=())
    with counted() as grown:
        await store.put_group(group, [RunReport(run, b"1") for run in both])
    stored = await store.get("run-1")
    assert stored is not None
    assert stored.outcome is Outcome.DONE
    assert grown == {runs("done"): 1, ENDED: 1}


async def test_what_is_not_stored_is_not_counted(store: ResultStore) -> None:
    with counted() as grown, pytest.raises(InvalidRequest):
        await store.put_group(
            StoreGroupRequest(batch_id="b", tenant="acme", rows=()),
            [RunReport(report(), b"1"), RunReport(report(run_id="run-2"), b"no JSON")],
        )
    assert grown == {}
