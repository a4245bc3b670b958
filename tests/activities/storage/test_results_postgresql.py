"""The result store on a PostgreSQL server of its own: what differs from SQLite."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from activities.storage import ResultStore
from engross.contracts import Outcome, RunResult, StoreRequest
from engross.errors import ServiceUnavailable

# PostgreSQL refuses to run as root.
_USER = "nobody" if os.getuid() == 0 else None


@pytest.fixture(scope="module")
def url(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    port = unused_tcp_port_factory()
    folder = Path(tempfile.mkdtemp(prefix="engross-postgresql-"))
    if _USER:
        shutil.chown(folder, _USER)
    try:
        initdb = ["initdb", "--auth=trust", "--username=me", "--no-sync", "--encoding=UTF8", str(folder / "data")]
        subprocess.run(initdb, user=_USER, cwd=folder, check=True, capture_output=True)
        # Only a socket of its own, and the one port.
        command = ["postgres", "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, user=_USER, cwd=folder, stdout=log, stderr=log)
        try:
            yield f"postgresql+asyncpg://me@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(10)
    finally:
        shutil.rmtree(folder)


async def started(url: str) -> ResultStore:
    store = ResultStore.open(url)
    async with asyncio.timeout(20):
        while True:
            try:
                await store.start()
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
            else:
                return store


def report(run_id: str, started_at: str = "2026-01-01", outcome: Outcome = Outcome.DONE) -> StoreRequest:
    result = RunResult(run_id=run_id, job="invoice", tenant="acme", outcome=outcome)
    return StoreRequest(result=result, started_at=started_at, document_name="a\0.pdf")


async def test_it_behaves_like_the_one_on_sqlite(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.storage.results._PAGE", 3)
    async with contextlib.AsyncExitStack() as stack:
        stores = [await started(url)]
        stores += [ResultStore.open(url) for _ in range(5)]
        for store in stores:
            stack.push_async_callback(store.close)
        await asyncio.gather(*(store.start() for store in stores))

        await asyncio.gather(*(store.put(report(f"run-{n}"), b'"\\u0000"') for n in range(8) for store in stores))
        first = await stores[0].get("run-1")
        assert first is not None
        assert (first.document_name, first.answer) == ("a\N{REPLACEMENT CHARACTER}.pdf", "\0")
        assert [run.run_id async for run in stores[0].rows()] == [f"run-{n}" for n in range(7, -1, -1)]

        await stores[0].put(report("run-1", "2026-01-02"), b"2")
        await stores[1].put(report("run-1", "2025-12-31", Outcome.FAILED), None)
        newest = await stores[2].get("run-1")
        assert newest is not None
        assert (newest.answer, newest.outcome) == (2, Outcome.DONE)
        await stores[0].check()
