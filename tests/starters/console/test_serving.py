"""`engross console` as a process, against a real Temporal server."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from activities.access import AccessStore
from activities.storage.database import Database
from engross.errors import ConfigurationError, PortTaken, ServiceUnavailable
from engross.settings import Settings
from starters.console.serving import serve
from tests.ports import free_ports
from tests.starters.conftest import start_server

_ROOT = Path(__file__).parents[3]
_PROGRAM = """
import sys
from engross.settings import load_settings
from starters.cli.console import console
sys.exit(console(load_settings()))
"""


@pytest_asyncio.fixture
async def temporal() -> AsyncIterator[str]:
    async with start_server() as environment:
        yield environment.client.service_client.config.target_host


@asynccontextmanager
async def started(home: Path, temporal: str, port: int) -> AsyncIterator[Process]:
    """The command in a process of its own, once it has said where it listens."""
    variables = {
        "TEMPORAL_ADDRESS": temporal,
        "ENGROSS_REDIS_URL": "redis://127.0.0.1:1",
        "ENGROSS_HOME": str(home),
        "ENGROSS_CONSOLE_PORT": str(port),
        "PYTHONPATH": str(_ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, cwd=home, env=os.environ | variables, stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == f"Console   http://127.0.0.1:{port}\n".encode()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.usefixtures("clean_environment")
async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, temporal: str) -> None:
    [port] = free_ports(1)
    async with started(tmp_path, temporal, port) as process, aiohttp.ClientSession() as http:
        address = f"http://127.0.0.1:{port}"
        async with http.get(f"{address}/ready") as ready:
            assert (ready.status, (await ready.json())["ready"]) == (200, True)
        async with http.get(f"{address}/login") as page:
            assert "Sign in to Engross" in await page.text()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            _, told = await process.communicate()
        assert process.returncode == 0
        lines = told.decode()
        assert "nobody can sign in yet: `engross users first NAME`" in lines
        assert "Traceback" not in lines

    database = Database.open(f"sqlite+aiosqlite:///{tmp_path / 'results.db'}")
    await AccessStore(database).add("ada", password="correct horse battery")
    await database.close()
    async with started(tmp_path, temporal, port) as process:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            _, told = await process.communicate()
        assert (process.returncode, b"nobody can sign in" in told) == (0, False)


def _settings(home: Path, **values: object) -> Settings:
    return Settings(_env_file=None, home=home, **values)  # type: ignore[call-arg, arg-type]  # pydantic-settings' own


def _not_listening(address: str, is_empty: bool) -> None:
    raise AssertionError(address)


@pytest.mark.usefixtures("clean_environment")
async def test_what_keeps_it_from_serving_is_said_with_the_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = _settings(tmp_path, console_port=taken.getsockname()[1])
        with pytest.raises(PortTaken, match="ENGROSS_CONSOLE_PORT moves it"):
            await serve(settings, _not_listening)
    with pytest.raises(ConfigurationError, match="put TLS in front of it"):
        await serve(_settings(tmp_path, console_host="0.0.0.0"), _not_listening)  # noqa: S104 - is refused
    with pytest.raises(ServiceUnavailable, match="no Temporal server"):
        await serve(_settings(tmp_path, console_port=free_ports(1)[0]), _not_listening)
