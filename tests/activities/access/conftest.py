"""A store of people on SQLite and, where its server is installed, on PostgreSQL; a clock that tests turn."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from sqlalchemy import text

from activities.access import AccessStore
from activities.access.tables import TABLES
from activities.storage.database import Database
from engross.errors import ServiceUnavailable
from tests.postgresql import IS_INSTALLED, running_postgresql

PASSWORD = "correct horse battery"

_KINDS = ["sqlite", "postgresql"] if IS_INSTALLED else ["sqlite"]


@dataclass
class Clock:
    """Stands still until a test turns it."""

    time: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def cheap() -> PasswordHasher:
    """Real argon2id that takes no time to speak of."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session")
def postgresql(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    with running_postgresql(unused_tcp_port_factory()) as url:
        yield url


@pytest.fixture(params=_KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'results.db'}"
    found: str = request.getfixturevalue("postgresql")
    return found


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty one."""
    database = Database.open(url)
    if not url.startswith("sqlite"):
        await _empty(database)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def store(database: Database, clock: Clock, cheap: PasswordHasher) -> AccessStore:
    store = AccessStore(database, now=clock, hasher=cheap)
    await store.start()
    return store


@pytest_asyncio.fixture
async def others(store: AccessStore, url: str, clock: Clock, cheap: PasswordHasher) -> AsyncIterator[list[AccessStore]]:
    """What other processes have: stores on connections of their own."""
    async with contextlib.AsyncExitStack() as stack:
        databases = [Database.open(url) for _ in range(4)]
        for database in databases:
            stack.push_async_callback(database.close)
        yield [AccessStore(database, now=clock, hasher=cheap) for database in databases]


async def _empty(database: Database) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with database.writing() as connection:
                    for table in TABLES:
                        await connection.execute(text(f"DROP TABLE IF EXISTS {table.name}"))
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
            else:
                return
