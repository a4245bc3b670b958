"""The order of a start: parsers before libraries, and each queue as soon as it can be served."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from temporalio import activity

from activities.documents.pool import ParserPool
from engross.endpoints import Endpoints
from engross.errors import ConfigurationError
from engross.settings import Settings, load_settings, variable
from tests.ports import free_ports
from tests.starters.conftest import start_server
from tests.valkey import Valkey
from workers import main, serving
from workers.logs import Levels
from workers.serving import serve

QUEUES = ("workflows", "models-openai")


@activity.defn
async def nothing() -> None: ...


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    [port] = free_ports(1)
    for name, value in {"HOME": str(tmp_path), "HEALTH_PORT": str(port), "REDIS_URL": "redis://127.0.0.1:1"}.items():
        monkeypatch.setenv(f"ENGROSS_{name}", value)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    return load_settings(env_file=None)


@pytest_asyncio.fixture
async def endpoints(valkey: Valkey) -> AsyncIterator[Endpoints]:
    valkey.start()
    async with start_server() as server:
        yield Endpoints(temporal=server.client.service_client.config.target_host, redis=valkey.url)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # other processes and threads: there is no event to wait for
            await asyncio.sleep(0.02)


async def test_parsers_start_before_the_libraries_are_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[ParserPool] = []
    started: list[int] = []

    class Watched(ParserPool):
        def begin(self) -> None:
            pools.append(self)
            super().begin()

    async def load(*_what: object) -> Any:
        [pool] = pools
        await until(lambda: len(pool.pids) == 2)
        started.extend(pool.pids)
        return SimpleNamespace(serve=lambda *_rest: asyncio.sleep(0))

    monkeypatch.setattr(main, "ParserPool", Watched)
    monkeypatch.setattr(main, "aside", load)
    await main._run(settings, ["documents"], Levels("info"))
    assert len(started) == 2
    assert not [pid for pid in started if psutil.pid_exists(pid)]


async def test_a_worker_that_reads_no_documents_starts_no_parsers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(*_what: object) -> Any:
        return SimpleNamespace(serve=lambda *given: given[3].warm())

    monkeypatch.setattr(main, "aside", load)
    with pytest.raises(ConfigurationError, match="don't start"):
        await main._run(settings, ["workflows"], Levels("info"))


async def ready(settings: Settings) -> tuple[int, dict[str, str]]:
    url = f"http://127.0.0.1:{settings.health_port}/ready"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, (await response.json())["checks"]


async def test_a_queue_is_polled_while_another_still_loads_and_ready_waits_for_both(
    settings: Settings, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, stop, asked = asyncio.Event(), asyncio.Event(), list[str]()

    async def activities_of(queue: str, _wiring: object, _stack: AsyncExitStack) -> Sequence[Callable[..., Any]]:
        asked.append(queue)
        if queue != "workflows":
            await loaded.wait()
        return (nothing,) if queue != "workflows" else ()

    monkeypatch.setattr(serving, "activities_of", activities_of)
    pool = ParserPool(size=1, seconds=1, memory_mb=128)
    worker = asyncio.create_task(serve(settings, endpoints, QUEUES, pool, Levels("info"), stop))
    await until(lambda: len(asked) == 2 or worker.done())
    assert "queue=workflows" in capsys.readouterr().out
    status, checks = await ready(settings)
    assert (status, checks["queues"]) == (503, "not polled yet: models-openai")
    loaded.set()
    async with asyncio.timeout(60):
        while (await ready(settings))[0] != 200:  # noqa: ASYNC110  # the page tells nobody by itself
            await asyncio.sleep(0.02)
    assert "worker is polling" in capsys.readouterr().out
    stop.set()
    await worker


async def test_a_worker_that_waits_for_temporal_is_alive_and_says_what_it_waits_for(
    settings: Settings, endpoints: Endpoints
) -> None:
    """Whoever restarts what does not live must leave it alone."""
    [port] = free_ports(1)
    nowhere = endpoints.model_copy(update={"temporal": f"127.0.0.1:{port}"})
    stop, pool = asyncio.Event(), ParserPool(size=1, seconds=1, memory_mb=128)
    worker = asyncio.create_task(serve(settings, nowhere, QUEUES, pool, Levels("info"), stop))
    url = f"http://127.0.0.1:{settings.health_port}/live"

    async def is_alive() -> bool:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(url) as response:
                    return response.status == 200
            except aiohttp.ClientConnectionError:
                return False

    async with asyncio.timeout(60):
        while not await is_alive():  # noqa: ASYNC110  # the page tells nobody by itself
            await asyncio.sleep(0.02)
    status, checks = await ready(settings)
    assert (status, list(checks)) == (503, ["connections"])
    assert "waits for Temporal" in checks["connections"]
    stop.set()
    await worker
