"""The stand-in provider on a real socket, and both providers pointed at it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from activities.models.anthropic_wire import AnthropicProvider
from activities.models.openai_wire import OpenAIProvider
from activities.models.providers import Provider
from workers.local.standin.server import make_app

SECONDS = 2.0


@dataclass(frozen=True)
class StandIn:
    """A running stand-in: scripts faults, reports calls."""

    address: str
    session: aiohttp.ClientSession

    async def script(self, *faults: dict[str, Any]) -> None:
        async with self.session.post(f"{self.address}/control/faults", json={"faults": list(faults)}) as response:
            assert response.status == 200, await response.text()

    async def calls(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.address}/control/calls") as response:
            calls: list[dict[str, Any]] = (await response.json())["calls"]
            return calls


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    runner = web.AppRunner(make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield StandIn(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    finally:
        await runner.cleanup()


@pytest.fixture(params=["openai", "anthropic"])
async def provider(request: pytest.FixtureRequest, stand_in: StandIn) -> AsyncIterator[Provider]:
    built: OpenAIProvider | AnthropicProvider
    if request.param == "openai":
        built = OpenAIProvider(api_key="k", base_url=f"{stand_in.address}/v1", seconds=SECONDS)
    else:
        built = AnthropicProvider(api_key="k", base_url=stand_in.address, seconds=SECONDS)
    yield built
    await built.close()
