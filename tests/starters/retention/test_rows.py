"""Which rows are old, and what the others need, in a real SQLite file and on a PostgreSQL server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select, update

from activities.approvals.cases import CASES, Cases
from activities.approvals.rows import ApprovalRows
from activities.approvals.rows_tables import APPROVALS
from activities.storage import ResultStore
from activities.storage.batches import BATCH_ROWS
from activities.storage.costs import SPENT
from activities.storage.database import Database
from activities.storage.details import DETAILS
from activities.storage.rows import RUNS, stamp
from engross.contracts import (
    BlobRef,
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
    Verdict,
)
from engross.errors import ServiceUnavailable
from starters.retention.marking import Marks
from starters.retention.policy import Policy
from starters.retention.report import Report
from starters.retention.rows import Rows
from tests.activities.approvals.records import note
from tests.postgresql import IS_INSTALLED, running_postgresql

NOW = datetime.now(UTC)
OLD, NEW = NOW - timedelta(days=40), NOW - timedelta(days=5)
POLICY = Policy(blobs_before=NOW - timedelta(days=7), runs_before=NOW - timedelta(days=30))
TABLES = (RUNS, DETAILS, SPENT, BATCH_ROWS, APPROVALS, CASES)


def told(_what: str, _count: int) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def postgresql(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    if not IS_INSTALLED:
        pytest.skip("no PostgreSQL server is installed")
    with running_postgresql(unused_tcp_port_factory()) as url:
        yield url


@dataclass(frozen=True)
class Records:
    """The stores of one database, and what tests do to them."""

    database: Database
    results: ResultStore
    approvals: ApprovalRows
    cases: Cases

    async def run(self, run_id: str, ended_at: datetime, *, tenant: str = "acme", **fields: Any) -> None:
        """A run with an account and a ledger, whose row is as old as that."""
        result = RunResult.model_validate(
            {"run_id": run_id, "job": "invoice", "tenant": tenant, "outcome": Outcome.DONE, "missing": ("a",), **fields}
        )
        spent = Spent(
            step="s",
            model="m",
            status=ReplyStatus.VALID,
            source=ReplySource.CALLED,
            calls=1,
            usage=Usage(),
            cost_usd=None,
        )
        ledger = (LedgerEntry(name="chunk 1", state=PartState.MAPPED, number=1),)
        request = StoreRequest(
            result=result,
            started_at=stamp(ended_at),
            attempt=f"{tenant}/{run_id}/{ended_at:%j}",
            spent=(spent,),
            ledger=ledger,
        )
        await self.results.put(request, None)
        await self.age(RUNS, RUNS.c.run_id == run_id, stored_at=stamp(ended_at))

    async def batch(self, batch_id: str, *rows: RowOutcome, ended_at: datetime) -> None:
        request = StoreGroupRequest(
            batch_id=batch_id, job="invoice", tenant="acme", rows=rows, started_at=stamp(ended_at)
        )
        await self.results.put_group(request, [])
        await self.age(BATCH_ROWS, BATCH_ROWS.c.batch_id == batch_id, stored_at=stamp(ended_at))

    async def approval(self, run_id: str, changed_at: datetime, verdict: Verdict, answer: str = "a" * 64) -> None:
        state = {"verdict": verdict, "decided_at": None if verdict is Verdict.OPEN else changed_at}
        request = {"run_id": run_id, "answer": BlobRef(tenant="acme", sha256=answer, size=1)}
        await self.approvals.put(note(f"{run_id}-approval", request=request, state=state))
        of_run = APPROVALS.c.run_id == run_id
        await self.age(APPROVALS, of_run, changed_at=stamp(changed_at))

    async def age(self, table: Table, which: Any, **values: str) -> None:
        async with self.database.writing() as connection:
            await connection.execute(update(table).where(which).values(**values))

    async def count(self, table: Table) -> int:
        [row] = await self.database.fetch(select(func.count().label("n")).select_from(table))
        return int(row["n"])

    async def ids(self, table: Table, column: str) -> list[str]:
        return sorted(row[column] for row in await self.database.fetch(select(table.c[column]).distinct()))

    async def collect(self, policy: Policy = POLICY, *, busy: tuple[str, ...] = (), dry: bool = False) -> Report:
        rows, report = Rows(self.database, policy), Report(is_dry=dry)
        await rows.start()
        await rows.add_busy(busy)
        await rows.delete(report)
        return report

    async def marked(self, hashes: list[str], policy: Policy = POLICY, *, busy: tuple[str, ...] = ()) -> list[str]:
        """Which of the blobs with these hashes rows need."""
        rows, marks = Rows(self.database, policy), Marks()
        for each in hashes:
            marks.add("acme", each)
        await rows.add_busy(busy)
        await rows.mark(marks, told)
        return [each for each in hashes if marks.is_needed(each)]


@pytest.fixture(params=["sqlite", "postgresql"])
async def records(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Records]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path / 'results.db'}" if is_sqlite else request.getfixturevalue("postgresql")
    database = Database.open(url)
    records = Records(database, ResultStore(database), ApprovalRows(database), Cases(database))
    async with asyncio.timeout(30):
        while True:
            try:
                for store in (records.results, records.approvals, records.cases):
                    await store.start()
                break
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
    async with database.writing() as connection:
        for table in TABLES:
            await connection.execute(table.delete())
    yield records
    await database.close()


def row(number: int, outcome: str = "done", run_id: str = "", **fields: Any) -> RowOutcome:
    values = {"row": number, "run_id": run_id or f"row-{number}", "name": "a.pdf", "uri": "blob:x", "outcome": outcome}
    return RowOutcome.model_validate(values | fields)


async def test_old_runs_go_with_all_that_belongs_to_them(records: Records) -> None:
    await records.run("old", OLD)
    await records.run("old", OLD, tenant="other")
    await records.run("new", NEW)

    report = await records.collect()

    assert await records.ids(RUNS, "run_id") == ["new"]
    assert [await records.count(table) for table in (RUNS, DETAILS, SPENT)] == [1, 1, 1]
    assert [(each.tenant, each.runs) for each in report.tenants] == [("acme", 1), ("other", 1)]
    assert (await records.collect()).tenants == [], "nothing is left to do"


async def test_a_dry_run_counts_the_same_and_deletes_nothing(records: Records) -> None:
    await records.run("old", OLD)
    await records.batch("b", row(1), ended_at=OLD)
    await records.approval("old", OLD, Verdict.APPROVED)
    before = [await records.count(table) for table in TABLES]

    dry = await records.collect(dry=True)

    assert [await records.count(table) for table in TABLES] == before
    assert (await records.collect()).tenants == dry.tenants
    [report] = dry.tenants
    assert (report.runs, report.batches, report.approvals) == (1, 1, 1)
    assert [await records.count(table) for table in TABLES] == [0] * len(TABLES)


async def test_what_is_open_stays_with_its_rows(records: Records) -> None:
    for run_id in ("open", "asks", "approval-open", "over"):
        await records.run(run_id, OLD)
    await records.approval("asks", OLD, Verdict.OPEN)
    await records.approval("approval-open", OLD, Verdict.APPROVED)
    await records.approval("over", OLD, Verdict.APPROVED)

    await records.collect(busy=("open", "approval-open-approval"))

    assert await records.ids(RUNS, "run_id") == ["approval-open", "asks", "open"]
    assert await records.ids(APPROVALS, "run_id") == ["approval-open", "asks"]


async def test_a_run_that_runs_again_stays_and_one_that_has_run_again_keeps_its_new_row(records: Records) -> None:
    await records.run("again", OLD)
    await records.run("again", NEW)
    await records.collect()
    assert await records.ids(RUNS, "run_id") == ["again"]
    assert await records.count(SPENT) == 2, "the accounts of both"
    await records.age(RUNS, RUNS.c.run_id == "again", stored_at=stamp(OLD))
    await records.collect()
    assert [await records.count(table) for table in (RUNS, DETAILS, SPENT)] == [0, 0, 0]


async def test_batches_go_as_a_whole_once_the_last_of_their_rows_is_old(records: Records) -> None:
    await records.batch("old", row(1), row(2, "failed"), ended_at=OLD)
    await records.batch("open", row(1), ended_at=OLD)
    await records.batch("grows", row(1), ended_at=OLD)
    await records.batch("grows-too", row(1), row(2), ended_at=OLD)
    late = (BATCH_ROWS.c.batch_id == "grows-too") & (BATCH_ROWS.c.row == 2)
    await records.age(BATCH_ROWS, late, stored_at=stamp(NEW))
    await records.batch("waits", row(1, "parked", "gone-on"), ended_at=OLD)
    await records.batch("came-to-an-end", row(1, "parked", "ended-late"), ended_at=OLD)
    await records.run("ended-late", NEW)
    await records.batch("came-to-an-old-end", row(1, "parked", "ended-early"), ended_at=OLD)
    await records.run("ended-early", OLD)

    report = await records.collect(busy=("open", "gone-on"))

    assert await records.ids(BATCH_ROWS, "batch_id") == ["came-to-an-end", "grows-too", "open", "waits"]
    assert report.tenants[0].batches == 3


async def test_only_of_one_tenant(records: Records) -> None:
    await records.run("a", OLD)
    await records.run("b", OLD, tenant="other")
    await records.collect(Policy(POLICY.blobs_before, POLICY.runs_before, tenant="other"))
    assert await records.ids(RUNS, "run_id") == ["a"]


async def test_nothing_is_old_without_the_setting(records: Records) -> None:
    await records.run("a", OLD)
    await records.approval("a", OLD, Verdict.APPROVED)
    await records.batch("b", row(1), ended_at=OLD)
    assert (await records.collect(Policy(POLICY.blobs_before))).tenants == []
    assert await records.count(RUNS) == 1


async def test_many_runs_go_page_by_page(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starters.retention.rows._PAGE", 3)
    for number in range(10):
        await records.run(f"run-{number}", OLD if number % 3 else NEW)
    report = await records.collect(busy=("run-4",))
    assert await records.ids(RUNS, "run_id") == ["run-0", "run-3", "run-4", "run-6", "run-9"]
    assert report.tenants[0].runs == 5


async def test_rows_that_stay_need_what_they_name_and_rows_that_go_need_nothing(records: Records) -> None:
    hashes = {
        name: f"{number:064x}" for number, name in enumerate(("new", "old", "busy", "batch", "gone", "asks", "done"))
    }
    for name in ("new", "old", "busy"):
        answer = BlobRef(tenant="acme", sha256=hashes[name], size=1)
        await records.run(name, NEW if name == "new" else OLD, answer=answer)
    await records.batch("kept", row(1, uri=f"blob:{hashes['batch']}"), ended_at=NEW)
    await records.batch("gone", row(1, uri=f"blob:{hashes['gone']}"), ended_at=OLD)
    await records.approval("asks", OLD, Verdict.OPEN, hashes["asks"])
    await records.approval("done", OLD, Verdict.APPROVED, hashes["done"])

    needed = await records.marked(list(hashes.values()), busy=("busy",))
    assert needed == [hashes[name] for name in ("new", "busy", "batch", "asks")]
    everything = await records.marked(list(hashes.values()), Policy(POLICY.blobs_before))
    assert everything == list(hashes.values())


async def test_cases_need_what_they_name_for_ever(records: Records) -> None:
    after = "f" * 64
    state = {
        "verdict": Verdict.CORRECTED,
        "answer": BlobRef(tenant="acme", sha256=after, size=1),
        "decided_at": OLD,
        "decided_by": ("ann",),
    }
    async with records.database.writing() as connection:
        await records.cases.write(connection, note("x-approval", state=state))
    await records.collect()
    assert await records.count(CASES) == 1
    assert await records.marked([after]) == [after]


async def test_whoever_shows_the_inbox_learns_that_it_has_changed(records: Records) -> None:
    await records.approval("done", OLD, Verdict.APPROVED)
    before = await records.approvals.changes()
    await records.collect()
    assert await records.approvals.changes() > before
