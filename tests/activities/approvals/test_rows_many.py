"""The inbox with ten thousand that wait: how long its first page takes, and how it is read."""

import contextlib
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite

from activities.approvals.rows import ApprovalRows, Wanted
from activities.approvals.rows_queries import page_query
from engross.contracts import Risk
from tests.activities.approvals.records import database_at, scattered

MANY = 10_000


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[ApprovalRows]:
    async with database_at(tmp_path) as database:
        rows = ApprovalRows(database)
        await rows.start()
        yield rows


@pytest.fixture
async def many(rows: ApprovalRows, tmp_path: Path) -> ApprovalRows:
    """The inbox with ten thousand that wait, and as many that are closed."""
    for each in scattered(200):
        await rows.put(each)
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as file:
        # Copies of these rows, as ten thousand transactions take their time.
        names = [row[1] for row in file.execute("PRAGMA table_info(approvals)")]
        copied = {
            "approval_id": "approval_id || '-' || n",
            "run_id": "run_id || '-' || n",
            "searched": "searched || '-' || n",
            "verdict": "CASE WHEN n < 50 THEN 'open' ELSE 'approved' END",
        }
        values = ", ".join(copied.get(name, f'"{name}"') for name in names)
        numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 99)"
        file.execute(f"INSERT INTO approvals {numbers} SELECT {values} FROM approvals, c")  # noqa: S608  # no input
        file.commit()
    assert (await rows.page(Wanted(), limit=1)).total == MANY
    assert (await rows.page(Wanted(verdict=None), limit=1)).total == 2 * MANY
    return rows


async def test_the_first_of_ten_thousand_come_at_once(many: ApprovalRows) -> None:
    wanted = [
        Wanted(),
        Wanted(tenants=frozenset({"tenant-3"}), risk=Risk.MEDIUM, job="invoice"),
        Wanted(text="voice 17"),
        Wanted(text="nowhere to be found", asked_any=frozenset({"approvers"})),
        Wanted(order="newest", older_than=timedelta(days=1), claimed_by=""),
        Wanted(verdict=None),
    ]
    seconds = []
    for number in range(200):
        before = time.perf_counter()
        await many.page(wanted[number % len(wanted)])
        seconds.append(time.perf_counter() - before)
    p95 = statistics.quantiles(seconds, n=20)[-1]
    assert p95 < 0.3, f"p95 {p95:.3f} s, median {statistics.median(seconds):.3f} s"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "approvals_first"),
        (Wanted(tenants=frozenset({"tenant-3"}), text="voice"), "approvals_first"),
        (Wanted(order="newest"), "approvals_newest"),
        (Wanted(verdict=None), "approvals_by_priority"),
        (Wanted(verdict=None, order="newest"), "approvals_by_age"),
    ],
)
async def test_pages_are_read_in_the_order_of_an_index(
    many: ApprovalRows, tmp_path: Path, wanted: Wanted, index: str
) -> None:
    second = (await many.page(wanted, limit=5)).next
    for after in (None, second):
        query = page_query(wanted, after, 50).compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True, "render_postcompile": True}
        )
        with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as file:
            plan = " ".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert index in plan
        assert "TEMP B-TREE" not in plan, "nothing is sorted"
