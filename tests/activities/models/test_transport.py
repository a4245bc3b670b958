"""What a reply may weigh, what it may cost in memory, and where a request may go, over both wires."""

import asyncio
import itertools
import json
import multiprocessing
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress

import psutil
import pytest
from aiohttp import web

from activities.models.anthropic_wire import AnthropicProvider
from activities.models.openai_wire import OpenAIProvider
from activities.models.providers import Provider
from activities.models.transport import MOST_REPLY_BYTES
from engross.errors import InvalidRequest, ProviderGarbled, ProviderOverloaded, ProviderUnreachable, ReplyTooLarge
from tests.activities.models.conftest import StandIn
from tests.activities.models.test_providers import Slip, call
from tests.ports import free_ports

SECONDS = 60.0
WIRES = ("openai", "anthropic")
MEGABYTE = 1_000_000
Make = Callable[[str], Provider]
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def provider_of(wire: str) -> AsyncIterator[Make]:
    """Makes a provider at an address, whose deadline no slow machine reaches."""
    made: list[Provider] = []

    def make(address: str) -> Provider:
        made.append(provider_at(wire, address))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that answers every request with the handler given; its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runners.append(web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def provider_at(wire: str, address: str) -> Provider:
    if wire == "openai":
        return OpenAIProvider(api_key="k", base_url=f"{address}/v1", seconds=SECONDS)
    return AnthropicProvider(api_key="k", base_url=address, seconds=SECONDS)


@pytest.mark.parametrize("kind", ["huge", "gzip_bomb"])
async def test_the_limit_is_on_unpacked_bytes_and_exact(provider_of: Make, stand_in: StandIn, kind: str) -> None:
    provider = provider_of(stand_in.address)
    await stand_in.script({"kind": kind, "bytes": MOST_REPLY_BYTES}, {"kind": kind, "bytes": MOST_REPLY_BYTES + 1})
    reply = await provider.call(call())
    assert Slip.model_validate_json(reply.text) == Slip(slip_number="77-A", total=12.5)
    with pytest.raises(ReplyTooLarge, match="16,777,216 bytes"):
        await provider.call(call())


@pytest.mark.fault(31)
async def test_memory_stays_bounded(stand_in: StandIn) -> None:
    kinds = ["slow", "huge", "gzip_bomb"]
    faults = [{"kind": kind, "path": wire, "bytes": 200 * MEGABYTE} for wire in WIRES for kind in kinds]
    await stand_in.script(*(fault | ({"seconds": 0} if fault["kind"] == "slow" else {}) for fault in faults))
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        grown = await asyncio.get_running_loop().run_in_executor(pool, growth, stand_in.address)
    assert [(seen["wire"], seen["fault"]) for seen in await stand_in.calls()] == list(itertools.product(WIRES, kinds))
    assert max(grown) < 100 * MEGABYTE, f"{[count // MEGABYTE for count in grown]} MB"


def growth(address: str) -> list[int]:
    """Bytes by which this process grows, at most, during each call after the first on each wire."""
    return asyncio.run(_growth(address))


async def _growth(address: str) -> list[int]:
    grown = []
    for wire in WIRES:
        provider = provider_at(wire, address)
        await provider.call(call())  # the first call loads what any call needs
        for _ in range(2):
            before = psutil.Process().memory_info().rss
            with most_memory() as most, suppress(ReplyTooLarge):
                await provider.call(call())
            grown.append(most[0] - before)
        await provider.close()
    return grown


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """The most bytes that this process held meanwhile, by looking every two milliseconds."""
    process, over = psutil.Process(), threading.Event()
    most = [process.memory_info().rss]

    def watch() -> None:
        while not over.wait(0.002):
            most[0] = max(most[0], process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()


async def test_an_error_with_an_endless_body_is_still_that_error(serve: Serve, provider_of: Make) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        while True:
            await response.write(b"trouble " * 8192)

    provider = provider_of(await serve(endless))
    with pytest.raises(ProviderOverloaded):
        await provider.call(call())


async def test_a_body_that_is_not_what_its_encoding_says_is_garbled(serve: Serve, provider_of: Make) -> None:
    async def not_gzip(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=json.dumps({"gzip": False}).encode(), headers=headers)

    provider = provider_of(await serve(not_gzip))
    with pytest.raises(ProviderGarbled):
        await provider.call(call())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(serve: Serve, stand_in: StandIn, provider_of: Make, status: int) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": f"{stand_in.address}{request.path}"})

    provider = provider_of(await serve(elsewhere))
    with pytest.raises(InvalidRequest, match=f"HTTP {status}"):
        await provider.call(call())
    assert await stand_in.calls() == []


async def test_the_proxy_of_the_environment_is_used(
    stand_in: StandIn, provider_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", stand_in.address)
    provider = provider_of("http://provider.invalid")
    assert (await provider.call(call())).model == "stand-in"


async def test_a_refused_connection_was_never_billed(provider_of: Make) -> None:
    [port] = free_ports(1)
    with pytest.raises(ProviderUnreachable, match="no connection") as refused:
        await provider_of(f"http://127.0.0.1:{port}").call(call())
    assert not refused.value.maybe_billed


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_connection_that_ends_after_the_request_may_have_been_billed(provider_of: Make, reset: bool) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if reset:
            writer.transport.abort()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        provider = provider_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ProviderUnreachable, match="broke in mid-call") as broken:
            await provider.call(call())
    assert broken.value.maybe_billed
