"""A stand-in on a free port, and the real SDK clients that talk to it over a real socket."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from aiohttp import web

from workers.local.standin.server import make_app

# Everything here is plain HTTP: an empty trust store saves each client reading the system's.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class Running:
    """A running stand-in: its base address and a plain HTTP client for it."""

    url: str
    http: httpx2.AsyncClient

    async def fault(self, kind: str, **more: Any) -> None:
        """Script one fault."""
        answer = await self.http.post("/control/faults", json={"faults": [{"kind": kind, **more}]})
        assert answer.status_code == 200, answer.text

    async def calls(self) -> list[dict[str, Any]]:
        """The calls it received."""
        seen = (await self.http.get("/control/calls")).json()
        assert seen["count"] == len(seen["calls"])
        return list(seen["calls"])


@pytest.fixture
async def standin() -> AsyncIterator[Running]:
    runner = web.AppRunner(make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with httpx2.AsyncClient(base_url=url, verify=NO_TLS) as http:
        yield Running(url, http)
    await runner.cleanup()


@pytest.fixture
async def openai_client(standin: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    base = f"{standin.url}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key="sk-any", max_retries=0, http_client=http) as client:
        yield client


@pytest.fixture
async def anthropic_client(standin: Running) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(verify=NO_TLS)
    async with anthropic.AsyncAnthropic(
        base_url=standin.url, api_key="sk-any", max_retries=0, http_client=http
    ) as client:
        yield client
