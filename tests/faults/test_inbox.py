"""The inbox with ten thousand that wait: how long its first page takes a browser, over HTTP."""

import contextlib
import os
import random
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from activities.access import AccessStore
from activities.approvals.rows import ApprovalRows, Wanted
from activities.storage.database import Database
from engross.people import EVERY_TENANT, Role
from tests.activities.approvals.records import scattered
from tests.faults.figures import Record, tell
from tests.faults.fleet import LONG
from tests.ports import free_ports
from tests.starters.conftest import start_server
from tests.starters.console.test_serving import started
from tests.starters.console.visitor import PASSWORD, Browser

pytestmark = [pytest.mark.xdist_group("inbox"), pytest.mark.timeout(300)]

WAITING = 10_000
REQUESTS = 200 if LONG else 60
FILTERED = [
    f"/inbox?{query}"
    for query in ("risk=medium&tenant=tenant-3", "q=invoice+17", "whose=free", "whose=asked", "state=all")
]
MOST_SECONDS = 0.3
# A machine that is busy with other tests says nothing of ours; who asks for the figures gets those of the only try.
TRIES = 1 if LONG else 3
_WRITTEN = 500
_OWN = ("approval_id", "run_id", "searched")


@dataclass(frozen=True)
class Visit:
    """A browser in which somebody has signed in, and the process that serves it."""

    browser: Browser
    console: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        """What the console has computed so far: unlike what requests take, whatever else the machine does."""
        times = self.console.cpu_times()
        return float(times.user + times.system)


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - what waits


@pytest.fixture
async def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> AsyncIterator[Visit]:
    """One in which somebody has signed in who may see all that waits. The console is a process of its own."""
    for name in [name for name in os.environ if name.startswith(("ENGROSS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENGROSS_USER_REQUESTS_PER_MINUTE", "1000000")
    await fill(tmp_path, seed)
    [port] = free_ports(1)
    async with start_server() as temporal, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        address = temporal.client.service_client.config.target_host
        async with started(tmp_path, address, port) as process:
            browser = Browser(f"http://127.0.0.1:{port}", http)
            assert (await browser.sign_in()).status == 303
            yield Visit(browser, psutil.Process(process.pid))


async def fill(home: Path, seed: int) -> None:
    database = Database.open(f"sqlite+aiosqlite:///{home / 'results.db'}")
    access, rows = AccessStore(database), ApprovalRows(database)
    try:
        for store in (access, rows):
            await store.start()
        await access.add("ada", password=PASSWORD)
        for role in (Role.APPROVER, Role.SENIOR):
            await access.grant("ada", EVERY_TENANT, role)
        for note in scattered(_WRITTEN, seed):
            await rows.put(note)
        copy(home / "results.db")
        assert (await rows.page(Wanted(), limit=1)).total == WAITING
    finally:
        await database.close()


def copy(file: Path) -> None:
    """Makes ten thousand rows of those that are there, as so many transactions take their time."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(approvals)")]
        values = ", ".join(f"{name} || '-' || n" if name in _OWN else f'"{name}"' for name in names)
        numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)"
        statement = f"INSERT INTO approvals {numbers} SELECT {values} FROM approvals, c"  # noqa: S608 - no input
        database.execute(statement, (WAITING // _WRITTEN - 1,))
        database.commit()


async def seconds_of(browser: Browser, paths: list[str]) -> list[float]:
    """What each of the requests took, one after the other, until its last byte was there."""
    seconds = []
    for path in paths:
        before = time.perf_counter()
        page = await browser.get(path)
        seconds.append(time.perf_counter() - before)
        assert page.status == 200
        assert page.text.count("-approval") >= 50, path
    return seconds


def figures(seconds: list[float]) -> str:
    each = [round(1000 * value) for value in (statistics.median(seconds), p95(seconds), max(seconds))]
    return "p50 {} ms, p95 {} ms, max {} ms".format(*each)


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


async def test_the_first_page_of_ten_thousand(visit: Visit, record_property: Record, seed: int) -> None:
    paths = {"all": ["/inbox"] * REQUESTS, "filtered": [FILTERED[n % len(FILTERED)] for n in range(REQUESTS)]}
    for number in range(TRIES):
        before = visit.cpu_seconds
        taken = {name: await seconds_of(visit.browser, each) for name, each in paths.items()}
        told = "; ".join(f"{name} {figures(seconds)}" for name, seconds in taken.items())
        each = (visit.cpu_seconds - before) / (2 * REQUESTS)
        told = f"{told}; {1000 * each:.0f} ms of CPU a request; try {number + 1}"
        told = tell(record_property, 2 * REQUESTS, seed, told)
        print(told)  # noqa: T201 - the figures are what it is for
        if all(p95(seconds) < MOST_SECONDS for seconds in taken.values()):
            return
    raise AssertionError(told)
