"""What a worker answers to those who watch it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from engross.errors import ConfigurationError, ServiceUnavailable
from tests.ports import free_ports
from workers.health import About, Check, health_server


async def good() -> None: ...


async def bad() -> None:
    raise ServiceUnavailable("Redis does not answer")


async def broken() -> None:
    raise KeyError("secret")


async def hangs() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def serving(about: About | None = None, **checks: Check) -> AsyncIterator[str]:
    [port] = free_ports(1)
    async with health_server("127.0.0.1", port, checks, about):
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
    assert "_created" not in text


async def test_a_taken_port_is_named_with_its_setting() -> None:
    async with serving() as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="ENGROSS_HEALTH_PORT"):
            async with health_server("127.0.0.1", port, {}):
                pass


def told_of(**values: object) -> Any:
    async def tell() -> dict[str, object]:
        return values

    return tell


async def test_a_worker_that_drains_is_alive_and_takes_no_work() -> None:
    about = About()
    async with serving(about, redis=good) as address:
        assert (await get(f"{address}/ready"))[0] == 200
        about.draining.set()
        assert await get(f"{address}/ready") == (503, {"ready": False, "checks": {"redis": "ok"}, "draining": True})
        assert await get(f"{address}/live") == (200, {"live": True})
        _, told = await get(f"{address}/health")
    assert (told["state"], told["draining"]) == ("degraded", True)


async def test_health_tells_all_that_is_known() -> None:
    about = About(
        build={"version": "1", "build_id": "b"},
        circuits=told_of(openai="closed"),
        pollers=told_of(workflows=2),
        started=time.monotonic() - 60,
    )
    async with serving(about, redis=good) as address:
        status, told = await get(f"{address}/health")
    assert 0 <= told["checks"]["redis"].pop("latency_ms") < 3000
    assert 60 <= told.pop("uptime_seconds") < 600
    assert (status, told) == (
        200,
        {
            "state": "ok",
            "checks": {"redis": {"state": "ok"}},
            "circuits": {"openai": "closed"},
            "pollers": {"workflows": 2},
            "build": {"version": "1", "build_id": "b"},
            "draining": False,
        },
    )


async def test_an_open_circuit_degrades_and_stays_ready() -> None:
    about = About(circuits=told_of(openai="closed", anthropic="open"))
    async with serving(about, redis=good) as address:
        assert (await get(f"{address}/health"))[1]["state"] == "degraded"
        assert (await get(f"{address}/ready"))[0] == 200


async def test_what_does_not_answer_is_down_and_named() -> None:
    async with serving(None, redis=bad, blobs=broken) as address:
        status, told = await get(f"{address}/health")
    assert (status, told["state"]) == (200, "down")
    assert told["checks"]["redis"]["error"] == "Redis does not answer"
    assert told["checks"]["blobs"]["error"] == "KeyError"


async def test_circuits_that_cannot_be_asked_degrade_only() -> None:
    async with serving(About(circuits=bad, pollers=broken), redis=good) as address:  # type: ignore[arg-type]  # they raise
        _, told = await get(f"{address}/health")
    assert (told["state"], told["circuits"], told["pollers"]) == ("degraded", {}, {})


@asynccontextmanager
async def core(body: str, status: int = 200) -> AsyncIterator[str]:
    """A page as Temporal's core has one."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=body, status=status)

    app = web.Application()
    app.add_routes([web.get("/metrics", page)])
    async with TestServer(app) as server:
        yield str(server.make_url("/metrics"))


async def test_both_families_are_on_one_page() -> None:
    body = '# HELP temporal_a_total A\n# TYPE temporal_a_total counter\ntemporal_a_total{x="1"} 3\n'
    async with core(body) as address, serving(About(core_metrics=address)) as own:
        status, text = await get(f"{own}/metrics")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert status == 200
    assert {"temporal_a", "python_info"} <= names


@pytest.mark.parametrize(("body", "status"), [("<html>temporal_ is not here\n", 200), ("temporal_a 1\n", 500)])
async def test_a_bad_page_of_the_core_hides_none_of_ours(body: str, status: int) -> None:
    async with core(body, status) as address, serving(About(core_metrics=address)) as own:
        status, text = await get(f"{own}/metrics")
    assert status == 200
    assert "python_info" in {family.name for family in text_string_to_metric_families(text)}
    assert "temporal_" not in text


async def test_a_core_that_is_gone_hides_none_of_ours() -> None:
    [port] = free_ports(1)
    async with serving(About(core_metrics=f"http://127.0.0.1:{port}/metrics")) as address:
        assert (await get(f"{address}/metrics"))[0] == 200
