"""A database, SQLite or PostgreSQL, through SQLAlchemy: how it is opened, and what its trouble is called."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import Index, RowMapping, Select, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from engross.errors import ConfigurationError, ServiceUnavailable

# Both dialects' inserts know `ON CONFLICT`.
Insert: TypeAlias = sqlite.Insert | postgresql.Insert
Inserts: TypeAlias = Callable[[Table], Insert]
# The columns of the row that an insert would write, in its `ON CONFLICT`.
Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]

_DRIVERS: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")
_BUSY_SECONDS: Final = 30
# Any number will do, as long as every process of ours uses the same.
_CREATE_LOCK: Final = 0x656E67726F73


class Database:
    """Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.insert: Inserts = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def open(cls, url: str) -> "Database":
        """The one at `sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`; connects on first use.

        Raises `ConfigurationError` for another kind of address.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigurationError(_expected("that is no database address")) from None
        if parsed.drivername not in _DRIVERS:
            raise ConfigurationError(_expected(f"{parsed.drivername!r} is not supported"))
        if "sslmode" in parsed.query:
            raise ConfigurationError("ENGROSS_RESULTS: write ssl= instead of sslmode=, with the same value")
        return cls(_sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql_engine(parsed))

    async def create(self, tables: Sequence[Table], indexes: Sequence[Index]) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        with self._translated():
            self._make_folder()
            async with self._engine.begin() as connection:
                if self._engine.dialect.name == "postgresql":
                    # Two CREATE TABLE IF NOT EXISTS at once can fail on PostgreSQL's own catalogue.
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
                for table in tables:
                    await connection.execute(CreateTable(table, if_not_exists=True))
                for index in indexes:
                    await connection.execute(CreateIndex(index, if_not_exists=True))

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, which is committed at the end."""
        with self._translated():
            async with self._engine.begin() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection."""
        with self._translated():
            async with self._engine.connect() as connection:
                yield connection

    async def fetch(self, query: Select[Any]) -> Sequence[RowMapping]:
        """All rows of `query`."""
        async with self.reading() as connection:
            found: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return found

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.dispose()

    def _make_folder(self) -> None:
        database = self._engine.url.database
        if self._engine.dialect.name == "sqlite" and database:
            file = Path(database)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)  # answers, and the hashes of passwords

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


def _postgresql_engine(url: URL) -> AsyncEngine:
    return create_async_engine(url, pool_pre_ping=True, connect_args={"timeout": 10, "command_timeout": 30})


def _sqlite_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # The official copy: once stored, a power cut must not take it back. Costs one fsync a transaction.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine
