"""Rows of batches, and what single runs have beside their row, in a real SQLite file."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.ports import RunReport
from activities.storage import ResultStore, StoredBatchRow
from engross.contracts import (
    ErrorInfo,
    LedgerEntry,
    Outcome,
    PartState,
    ReplySource,
    ReplyStatus,
    RowOutcome,
    RunResult,
    Spent,
    StoreGroupRequest,
    StoreRequest,
    Usage,
)
from engross.errors import InvalidRequest

EARLY, LATE = "2026-01-01T10:00:00+00:00", "2026-01-01T12:00:00+02:00"  # the same time
LATER = "2026-01-01T10:00:00.5+00:00"
LEDGER = (LedgerEntry(name="chunk 1", state=PartState.MAPPED, number=1), LedgerEntry(name="x", state=PartState.FAILED))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResultStore]:
    store = ResultStore.open(f"sqlite+aiosqlite:///{tmp_path / 'results.db'}")
    await store.start()
    yield store
    await store.close()


def run_of(number: int, started_at: str = EARLY, **fields: Any) -> StoreRequest:
    result = RunResult.model_validate(
        {"run_id": f"run-{number}", "job": "invoice", "tenant": "acme", "outcome": "done", "cost_usd": "0.1"} | fields
    )
    price = result.cost_usd
    spent = Spent(
        step="s", model="m", status=ReplyStatus.VALID, source=ReplySource.CALLED, calls=1, usage=Usage(), cost_usd=price
    )
    return StoreRequest(result=result, started_at=started_at, attempt=f"{number}/{started_at}", spent=(spent,))


def row(number: int, outcome: str = "done", run: StoreRequest | None = None, **fields: Any) -> RowOutcome:
    values = {"row": number, "run_id": f"run-{number}", "name": f"{number}.pdf", "uri": f"blob:{number}"}
    return RowOutcome.model_validate({**values, "outcome": outcome, "run": run} | fields)


async def put(store: ResultStore, *rows: RowOutcome, started_at: str = EARLY, batch: str = "b") -> None:
    request = StoreGroupRequest(batch_id=batch, tenant="acme", job="invoice", started_at=started_at, rows=rows)
    await store.put_group(request, [RunReport(each.run, b"1") for each in rows if each.run])


async def rows(store: ResultStore, batch: str = "b", outcome: str | None = None) -> list[StoredBatchRow]:
    return [each async for each in store.batches.rows(batch, outcome=outcome)]


async def outcomes(store: ResultStore) -> list[str]:
    return [each.outcome for each in await rows(store)]


async def test_a_group_is_rows_of_the_batch_and_of_its_runs(store: ResultStore) -> None:
    error = ErrorInfo(type="BadManifest", message="line 2 is\0not JSON")
    await put(store, row(1, run=run_of(1)), row(2, "failed", error=error, name="a\0b"), row(3, "done", cost_usd=None))

    first, second, third = await rows(store)
    assert (first.row, first.tenant, first.job, first.run_id, first.name, first.uri, first.outcome) == (
        1, "acme", "invoice", "run-1", "1.pdf", "blob:1", "done",
    )  # fmt: skip
    assert (str(first.cost_usd), second.cost_usd, third.cost_usd) == ("0.1", Decimal(0), None)
    assert second.error == ErrorInfo(type="BadManifest", message="line 2 is\N{REPLACEMENT CHARACTER}not JSON")
    run = await store.get("run-1")
    assert run is not None
    assert (run.outcome, run.answer) == (Outcome.DONE, 1)
    assert [run.run_id async for run in store.rows()] == ["run-1"]
    assert [(line.calls, str(line.cost_usd)) for line in await store.costs(by="job")] == [(1, "0.1")]


async def test_repeating_a_group_changes_nothing(store: ResultStore) -> None:
    group = row(1, run=run_of(1)), row(2, "failed"), row(3, "parked")
    await put(store, *group)
    before = await rows(store), await store.get("run-1"), await store.costs(by="job")
    await put(store, *group)
    assert (await rows(store), await store.get("run-1"), await store.costs(by="job")) == before


async def test_a_row_that_is_no_sense_stores_none_of_the_group(store: ResultStore) -> None:
    with pytest.raises(InvalidRequest):
        await put(store, row(1, run=run_of(1)), row(2, run=run_of(2, "yesterday")))
    assert (await rows(store), await store.get("run-1")) == ([], None)


async def test_a_parked_row_ends_and_is_never_parked_again(store: ResultStore) -> None:
    await put(store, row(1, "parked"))
    await put(store, row(1, "failed"), started_at=LATE)
    assert await outcomes(store) == ["failed"]
    await put(store, row(1, "parked"))
    assert await outcomes(store) == ["failed"]
    await put(store, row(1, "done"))
    assert await outcomes(store) == ["done"]


async def test_a_newer_run_of_the_batch_wins(store: ResultStore) -> None:
    await put(store, row(1, "failed"), started_at=EARLY)
    await put(store, row(1, "parked"), started_at=LATER)
    assert await outcomes(store) == ["parked"]
    await put(store, row(1, "done"), started_at=EARLY)
    assert await outcomes(store) == ["parked"]


async def test_a_group_never_overwrites_the_row_of_a_newer_run(store: ResultStore) -> None:
    await store.put(run_of(1, LATER), b'"new"')
    await put(store, row(1, run=run_of(1, EARLY)))
    kept = await store.get("run-1")
    assert kept is not None
    assert kept.answer == "new"
    assert [line.calls for line in await store.costs(by="job")] == [2], "what was spent stays spent"


async def test_two_rows_of_one_run_are_one_run(store: ResultStore) -> None:
    await put(store, row(1, run=run_of(1)), row(2, run=run_of(1), run_id="run-1"))
    assert [run.run_id async for run in store.rows()] == ["run-1"]


async def test_a_parked_row_shows_how_its_run_ended_since(store: ResultStore) -> None:
    await store.put(run_of(1, EARLY, outcome="failed"), None)
    await store.put(run_of(2, EARLY), b"1")
    await put(store, row(1, "parked"), row(2, "failed"), row(3, "parked"), started_at=LATER)
    assert await outcomes(store) == ["parked", "failed", "parked"], "an older run of the same id is none of it"

    error = ErrorInfo(type="RefusedAnswer", message="the model declined")
    await store.put(run_of(1, LATER, outcome="needs_approval", error=error, cost_usd=None), None)
    await store.put(run_of(2, LATER), b"1")
    first, second, third = await rows(store)
    assert (first.outcome, first.error, first.cost_usd) == ("needs_approval", error, None)
    assert (second.outcome, third.outcome) == ("failed", "parked"), "a row that ended stays as it ended"
    assert [each.row for each in await rows(store, outcome="parked")] == [3]
    assert [each.row for each in await rows(store, outcome="needs_approval")] == [1]


async def test_rows_cross_pages(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.storage.batches._PAGE", 3)
    await put(store, *(row(number, "failed" if number % 2 else "done") for number in range(1, 11)))
    await put(store, row(1), batch="another")
    assert [each.row for each in await rows(store)] == list(range(1, 11))
    assert [each.row for each in await rows(store, outcome="failed")] == [1, 3, 5, 7, 9]


async def test_batches_are_summed_up_newest_first(store: ResultStore) -> None:
    await put(store, row(1, run=run_of(1)), row(2, run=run_of(2)), row(3, run=run_of(3, cost_usd=None)), batch="old")
    await put(store, row(1, "failed"), row(2, "duplicate"), batch="new", started_at=LATER)

    new, old = await store.batches.newest(5)
    assert (new.batch_id, new.outcomes, new.rows) == ("new", {"failed": 1, "duplicate": 1}, 2)
    assert (old.batch_id, old.outcomes, str(old.cost_usd), old.unpriced) == ("old", {"done": 3}, "0.2", 1)
    assert (old.tenant, old.job, old.first_at.isoformat()) == ("acme", "invoice", EARLY)
    assert await store.batches.get("old") == old
    assert await store.batches.get("nobody") is None
    assert [each.batch_id for each in await store.batches.newest(1)] == ["new"]


async def test_groups_may_be_stored_at_once(store: ResultStore) -> None:
    groups = [[row(number, run=run_of(number)) for number in range(first, first + 5)] for first in range(1, 41, 5)]
    await asyncio.gather(*(put(store, *group) for group in groups * 2))
    assert len(await rows(store)) == 40


# --- details ----------------------------------------------------------------------------------------------------


async def details(store: ResultStore) -> tuple[Any, ...]:
    run = await store.get("run-1")
    assert run is not None
    [listed] = [run async for run in store.rows()]
    assert listed == run
    return run.ledger, run.missing, run.flags


def partial(started_at: str = EARLY) -> StoreRequest:
    return run_of(1, started_at, outcome="partial", missing=("chunk 2",), flags=("below-bar",))


async def test_ledger_missing_and_flags_come_back(store: ResultStore) -> None:
    for _ in range(2):
        await store.put(partial(), b"1", LEDGER)
        assert await details(store) == (LEDGER, ("chunk 2",), ("below-bar",))


async def test_the_ledger_of_the_request_will_do(store: ResultStore) -> None:
    await store.put(run_of(1).model_copy(update={"ledger": LEDGER}), b"1")
    assert await details(store) == (LEDGER, (), ())


async def test_details_are_those_of_the_newest_run(store: ResultStore, tmp_path: Path) -> None:
    await store.put(partial(EARLY), b"1", LEDGER)
    await store.put(run_of(1, LATER), b"2")
    assert await details(store) == ((), (), ())
    await store.put(partial(EARLY), b"1", LEDGER)
    assert await details(store) == ((), (), ()), "an older run comes late"
    await store.put(partial(LATER), b"1", LEDGER[:1])
    await store.put(partial(EARLY), b"1", LEDGER)
    assert await details(store) == (LEDGER[:1], ("chunk 2",), ("below-bar",))
    await store.put(run_of(1, LATER), b"2")
    assert await details(store) == ((), (), ()), "a correction without them"
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as database:
        assert database.execute("SELECT count(*) FROM run_details").fetchone() == (0,)


async def test_a_group_stores_details_too(store: ResultStore) -> None:
    request = StoreGroupRequest(batch_id="b", tenant="acme", rows=(row(1, run=partial()), row(2, run=run_of(2))))
    await store.put_group(request, [RunReport(partial(), b"1", LEDGER), RunReport(run_of(2), b"1")])
    run = await store.get("run-1")
    assert run is not None
    assert (run.ledger, run.missing) == (LEDGER, ("chunk 2",))


async def test_a_database_of_an_earlier_version_is_extended(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    old = ResultStore.open(f"sqlite+aiosqlite:///{path}")
    await old.start()
    await old.put(run_of(1), b"1")
    await old.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table in ("run_details", "batch_rows"):
            database.execute(f"DROP TABLE {table}")  # as it was before there were batches
        database.commit()

    store = ResultStore.open(f"sqlite+aiosqlite:///{path}")
    await store.start()
    assert await details(store) == ((), (), ())
    await store.close()
