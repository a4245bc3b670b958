"""How runs ended, one row a run, and what they spent, in SQLite or PostgreSQL through SQLAlchemy."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, event, or_, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from activities.storage.costs import SPENT, CostLine, CostsBy, costs_query, in_order, line_of, spent_rows
from activities.storage.rows import INDEXES, RUNS, StoredRun, row_of, run_of, stamp
from engross.contracts import Outcome, StoreRequest
from engross.errors import ConfigurationError, ServiceUnavailable

_DRIVERS: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")
_PAGE: Final = 500
_BUSY_SECONDS: Final = 30
# Any number will do, as long as every process of ours uses the same.
_CREATE_LOCK: Final = 0x656E67726F73

_NEWEST_FIRST: Final = (RUNS.c.started_at.desc(), RUNS.c.run_id.desc(), RUNS.c.tenant.desc())


class ResultStore:
    """The rows of finished runs and their accounts. `put` may be repeated and may race: the newest run of an id wins.

    Every method raises `ServiceUnavailable` when the database does not answer.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> "ResultStore":
        """The store at `sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`; connects on first use.

        Raises `ConfigurationError` for another kind of address.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigurationError(_expected("that is no database address")) from None
        if parsed.drivername not in _DRIVERS:
            raise ConfigurationError(_expected(f"{parsed.drivername!r} is not supported"))
        return cls(_sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql_engine(parsed))

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        with self._translated():
            self._make_folder()
            async with self._engine.begin() as connection:
                if self._engine.dialect.name == "postgresql":
                    # Two CREATE TABLE IF NOT EXISTS at once can fail on PostgreSQL's own catalogue.
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
                for table in (RUNS, SPENT):
                    await connection.execute(CreateTable(table, if_not_exists=True))
                for index in INDEXES:
                    await connection.execute(CreateIndex(index, if_not_exists=True))

    async def put(self, request: StoreRequest, answer: bytes | None) -> None:
        """Stores how a run ended and what it spent; `answer` is its JSON text.

        The row of a run that started later is never overwritten, and repeating a call changes nothing, not even
        `stored_at`. What was spent is kept whichever row wins. Raises `InvalidRequest` when the answer is not JSON or
        `started_at` no time.
        """
        row = row_of(request, answer)
        spent = spent_rows(request, row["started_at"])
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(RUNS).values(row)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=[RUNS.c.run_id, RUNS.c.tenant],
            set_={column: new[column] for column in row if column not in ("run_id", "tenant")},
            where=or_(
                new.started_at > RUNS.c.started_at,
                and_(new.started_at == RUNS.c.started_at, new.fingerprint != RUNS.c.fingerprint),
            ),
        )
        with self._translated():
            async with self._engine.begin() as connection:
                await connection.execute(statement)
                if spent:
                    await connection.execute(insert(SPENT).on_conflict_do_nothing(), spent)

    async def get(self, run_id: str) -> StoredRun | None:
        """The newest row of that id; None when there is none."""
        query = select(RUNS).where(RUNS.c.run_id == run_id).order_by(*_NEWEST_FIRST).limit(1)
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
        query = select(RUNS).order_by(*_NEWEST_FIRST)
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
            page = query.where(_after(found[-1]))

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
        with self._translated():
            async with self._engine.connect() as connection, connection.stream(query) as found:
                async for page in found.mappings().partitions(_PAGE):
                    for line in map(line_of, page):
                        lines[line.name] = lines[line.name] + line if line.name in lines else line
        return in_order(lines.values(), by)

    async def check(self) -> None:
        """Raises `ServiceUnavailable` with the fix unless the tables are there and can be written to."""
        await self.start()
        with self._translated():
            async with self._engine.begin() as connection:
                # Takes the write lock and changes nothing.
                await connection.execute(RUNS.delete().where(RUNS.c.run_id == ""))

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.dispose()

    async def _fetch(self, query: Select[Any]) -> list[StoredRun]:
        with self._translated():
            async with self._engine.connect() as connection:
                return [run_of(row) for row in (await connection.execute(query)).mappings()]

    def _make_folder(self) -> None:
        database = self._engine.url.database
        if self._engine.dialect.name == "sqlite" and database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
            # Trouble of the database's own may speak; a complaint about data can quote it.
            is_about_data = isinstance(error, DBAPIError) and not isinstance(error, OperationalError | InterfaceError)
            reason = type(cause).__name__ if is_about_data else (str(cause).splitlines() or [type(cause).__name__])[0]
            url = self._engine.url.render_as_string(hide_password=True)
            raise ServiceUnavailable(
                f"result store {url} does not work: {reason}; check that it can be written to, or set ENGROSS_RESULTS"
            ) from error


def _expected(problem: str) -> str:
    return f"ENGROSS_RESULTS: {problem}; use sqlite+aiosqlite:///path/results.db or postgresql+asyncpg://user@host/name"


def _after(last: StoredRun) -> ColumnElement[bool]:
    place = tuple_(RUNS.c.started_at, RUNS.c.run_id, RUNS.c.tenant)
    return place < tuple_(stamp(last.started_at), last.run_id, last.tenant)


def _postgresql_engine(url: URL) -> AsyncEngine:
    return create_async_engine(url, pool_pre_ping=True, connect_args={"timeout": 10, "command_timeout": 30})


def _sqlite_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # The official copy: once stored, a power cut must not take it back. Costs one fsync a run.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine
