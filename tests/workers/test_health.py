"""What a worker answers to those who watch it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from engross.errors import ConfigurationError, ServiceUnavailable
from tests.ports import free_ports
from workers.health import Check, health_server


async def good() -> None: ...


async def bad() -> None:
    raise ServiceUnavailable("Redis does not answer")


async def broken() -> None:
    raise KeyError("secret")


async def hangs() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def serving(**checks: Check) -> AsyncIterator[str]:
    [port] = free_ports(1)
    async with health_server("127.0.0.1", port, checks):
        yield f"http://127.0.0.1:{port}"


async def get(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        is_json = response.content_type == "application/json"
        return response.status, await (response.json() if is_json else response.text())


async def test_ready_when_everything_answers() -> None:
    async with serving(redis=good, blobs=good) as address:
        assert await get(f"{address}/ready") == (200, {"ready": True, "checks": {"redis": "ok", "blobs": "ok"}})


async def test_not_ready_says_what_is_wrong_and_no_more() -> None:
    async with serving(redis=bad, blobs=broken, results=good) as address:
        status, body = await get(f"{address}/ready")
    assert status == 503
    assert body["checks"] == {"redis": "Redis does not answer", "blobs": "KeyError", "results": "ok"}


async def test_a_check_that_hangs_does_not_hang_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.health._CHECK_SECONDS", 0.05)
    async with serving(temporal=hangs) as address:
        assert (await get(f"{address}/ready"))[0] == 503


async def test_live_whatever_the_dependencies_do() -> None:
    async with serving(redis=bad) as address:
        assert await get(f"{address}/live") == (200, {"live": True})


async def test_metrics_name_what_is_paid_for() -> None:
    import activities.models.ask  # noqa: F401 - registers the metrics

    async with serving() as address:
        status, text = await get(f"{address}/metrics")
    assert status == 200
    assert "engross_model_calls_total" in text
    assert "engross_model_cost_usd_total" in text


async def test_a_taken_port_is_named_with_its_setting() -> None:
    async with serving() as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="ENGROSS_HEALTH_PORT"):
            async with health_server("127.0.0.1", port, {}):
                pass
