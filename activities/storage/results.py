"""How runs ended, one row a run, what they spent, and what became of batches, in SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, RowMapping, Select, select, tuple_

from activities.ports import RunReport
from activities.storage.batches import BATCH_INDEXES, BATCH_ROWS, BatchRows, batch_row
from activities.storage.costs import SPENT, CostLine, CostsBy, costs_query, in_order, line_of
from activities.storage.counting import count
from activities.storage.database import Database
from activities.storage.details import DETAILS, details_of, of_same_run
from activities.storage.rows import INDEXES, RUNS, StoredRun, run_of, stamp
from activities.storage.writes import Rows, Writes
from engross.contracts import LedgerEntry, Outcome, StoreGroupRequest, StoreRequest

Place: TypeAlias = tuple[str, str, str]
"""Where a row is among all: when its run started, as stored, its id and its tenant."""

_PAGE: Final = 500
_NEWEST_FIRST: Final = (RUNS.c.started_at.desc(), RUNS.c.run_id.desc(), RUNS.c.tenant.desc())
_DETAILS: Final = ("ledger", "missing", "flags")
_WHOLE: Final = select(RUNS, *(DETAILS.c[name] for name in _DETAILS)).select_from(
    RUNS.outerjoin(DETAILS, of_same_run())
)


class ResultStore:
    """The rows of finished runs and their accounts. `put` may be repeated and may race: the newest run of an id wins.

    Every method raises `ServiceUnavailable` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writes = Writes(database.insert)
        self.batches = BatchRows(database)

    @classmethod
    def open(cls, url: str) -> "ResultStore":
        """The store at `sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`; connects on first use.

        Raises `ConfigurationError` for another kind of address.
        """
        return cls(Database.open(url))

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create((RUNS, SPENT, DETAILS, BATCH_ROWS), (*INDEXES, *BATCH_INDEXES))

    async def put(self, request: StoreRequest, answer: bytes | None, ledger: Sequence[LedgerEntry] = ()) -> None:
        """Stores how a run ended and what it spent; `answer` is its JSON text, `ledger` the whole of it.

        The row of a run that started later is never overwritten, and repeating a call changes nothing, not even
        `stored_at`. What was spent is kept whichever row wins. Raises `InvalidRequest` when the answer is not JSON or
        `started_at` no time.
        """
        rows = Rows()
        rows.add(RunReport(request, answer, ledger or request.ledger))
        async with self._database.writing() as connection:
            news = await self._writes.write(connection, rows)
        count(news)

    async def put_group(self, request: StoreGroupRequest, reports: Sequence[RunReport]) -> None:
        """Stores rows of a batch, and `reports` on their runs as `put` does, all or nothing.

        A row that has ended is not parked again by a repeated call, nor by one that comes late.
        """
        # Always in the same order, so that two who write the same rows never wait for each other.
        rows = Rows(of_batch=[batch_row(request, each) for each in sorted(request.rows, key=lambda each: each.row)])
        for report in sorted(reports, key=lambda each: each.request.result.run_id):
            rows.add(report)
        async with self._database.writing() as connection:
            news = await self._writes.write(connection, rows)
        count(news)

    async def get(self, run_id: str) -> StoredRun | None:
        """The newest row of that id; None when there is none."""
        query = _WHOLE.where(RUNS.c.run_id == run_id).order_by(*_NEWEST_FIRST).limit(1)
        rows = await self._fetch(query)
        return rows[0] if rows else None

    async def rows(
        self,
        *,
        job: str | None = None,
        tenant: str | None = None,
        outcome: Outcome | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StoredRun]:
        """Rows, newest run first, page by page: nothing is locked or held open while the caller works."""
        wanted = {"job": job, "tenant": tenant, "outcome": outcome}
        query = _WHOLE.order_by(*_NEWEST_FIRST)
        for column, value in wanted.items():
            if value is not None:
                query = query.where(RUNS.c[column] == str(value))
        left = limit
        page = query
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            found = await self._fetch(page.limit(size))
            for run in found:
                yield run
            if len(found) < size:
                return
            left = None if left is None else left - size
            page = query.where(_after(place_of(found[-1])))

    async def page(
        self,
        *,
        tenants: Collection[str] | None = None,
        job: str | None = None,
        outcome: Outcome | None = None,
        after: Place | None = None,
        limit: int,
    ) -> list[StoredRun]:
        """The first `limit` rows, newest run first, or those behind `after`; of some tenants, or of all for None."""
        query = _WHOLE.order_by(*_NEWEST_FIRST).limit(limit)
        for column, value in {"job": job, "outcome": outcome}.items():
            if value is not None:
                query = query.where(RUNS.c[column] == str(value))
        if tenants is not None:
            query = query.where(RUNS.c.tenant.in_(sorted(tenants)))
        if after is not None:
            query = query.where(_after(after))
        return await self._fetch(query)

    async def costs(
        self,
        *,
        by: CostsBy,
        job: str | None = None,
        tenant: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> list[CostLine]:
        """What was spent by runs that started from `since` to `until` (UTC, both included).

        The highest cost is first; by day, the newest.
        """
        query = costs_query(by, job=job, tenant=tenant, since=since, until=until)
        lines: dict[str, CostLine] = {}
        async with self._database.reading() as connection, connection.stream(query) as found:
            async for page in found.mappings().partitions(_PAGE):
                for line in map(line_of, page):
                    lines[line.name] = lines[line.name] + line if line.name in lines else line
        return in_order(lines.values(), by)

    async def check(self) -> None:
        """Raises `ServiceUnavailable` with the fix unless the tables are there and can be written to."""
        await self.start()
        async with self._database.writing() as connection:
            # Takes the write lock and changes nothing.
            await connection.execute(RUNS.delete().where(RUNS.c.run_id == ""))

    async def close(self) -> None:
        """Closes the connections."""
        await self._database.close()

    async def _fetch(self, query: Select[Any]) -> list[StoredRun]:
        return [_run_of(row) for row in await self._database.fetch(query)]


def _run_of(row: RowMapping) -> StoredRun:
    return run_of({**row, **details_of(row)})


def place_of(run: StoredRun) -> Place:
    """Where the row of `run` is."""
    return stamp(run.started_at), run.run_id, run.tenant


def _after(place: Place) -> ColumnElement[bool]:
    return tuple_(RUNS.c.started_at, RUNS.c.run_id, RUNS.c.tenant) < tuple_(*place)
