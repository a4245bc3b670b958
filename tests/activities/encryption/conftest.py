"""Keys of tenants in a database of a test's own: SQLite, and PostgreSQL where its server is installed."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from activities.encryption.keys import TenantKeys
from activities.encryption.tables import TENANT_KEYS
from activities.storage.database import Database
from engross.errors import ServiceUnavailable
from tests.postgresql import IS_INSTALLED, running_postgresql

MASTERS = {"k1": os.urandom(32)}
_KINDS = ["sqlite", "postgresql"] if IS_INSTALLED else ["sqlite"]

Opened = Callable[..., TenantKeys]


class Clock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgresql(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    with running_postgresql(unused_tcp_port_factory()) as url:
        yield url


@pytest_asyncio.fixture(params=_KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without keys."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'results.db'}"
    found: str = request.getfixturevalue("postgresql")
    await _empty(found)
    return found


@pytest.fixture
def opened(url: str, clock: Clock) -> Opened:
    """What every process does: opens the keys with master keys of its own, `MASTERS` unless told otherwise."""
    return lambda masters=None: TenantKeys(masters or MASTERS, url, clock=clock)


@pytest.fixture
def keys(tmp_path: Path) -> TenantKeys:
    """Those on SQLite, for what is the same on any database."""
    return TenantKeys(MASTERS, f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")


async def _empty(url: str) -> None:
    database = Database.open(url)
    async with asyncio.timeout(20):
        while True:
            try:
                async with database.writing() as connection:
                    await connection.execute(text(f"DROP TABLE IF EXISTS {TENANT_KEYS.name}"))
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
            else:
                break
    await database.close()
