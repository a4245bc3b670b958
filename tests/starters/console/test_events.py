"""Live updates."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import fastapi.routing
import fastapi.sse
import pytest

from activities.access import Session
from engross.errors import ServiceUnavailable
from starters.console import basics
from starters.console.events import MOST_STREAMS, Changes
from tests.starters.console.served import Running, until
from tests.starters.console.visitor import Browser


@asynccontextmanager
async def stream(browser: Browser) -> AsyncIterator[aiohttp.ClientResponse]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with browser.http.get(f"{browser.address}/events", headers={"Cookie": cookies}) as response:
        yield response


async def told(response: aiohttp.ClientResponse, wanted: str) -> str:
    """The lines of the stream up to the one that begins with `wanted`."""
    lines = []
    async with asyncio.timeout(20):
        async for line in response.content:
            lines.append(line.decode().rstrip("\n"))
            if lines[-1].startswith(wanted):
                return "\n".join(lines)
    raise AssertionError(lines)


async def test_open_pages_hear_of_a_change(console: Running, ada: Browser) -> None:
    async with stream(ada) as first, stream(ada) as second:
        assert first.headers["Content-Type"].startswith("text/event-stream")
        assert first.headers["Cache-Control"] == "no-store"
        for page in (first, second):
            await told(page, "retry: 3000")
        for number in (5, 6):
            console.rows.number = number
            for page in (first, second):
                assert "event: changed" in await told(page, f"data: {number}")


async def test_a_quiet_stream_beats(console: Running, ada: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fastapi.sse._PING_INTERVAL == 15
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.05)
    async with stream(ada) as page:
        await told(page, ": ping")


async def test_a_stream_ends_with_its_session(console: Running, ada: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basics, "_SESSION_SECONDS", 0.05)
    async with stream(ada) as page:
        await told(page, "retry:")
        await ada.post("/logout")
        await told(page, "event: ended")
        async with asyncio.timeout(20):
            await page.content.read()


async def test_an_open_stream_keeps_no_session_alive(
    console: Running, ada: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basics, "_SESSION_SECONDS", 0.05)
    access = console.services.access
    session, checks = access.session, 0

    async def counted(token: str, *, is_used: bool) -> Session | None:
        nonlocal checks
        checks += 1
        return await session(token, is_used=is_used)

    monkeypatch.setattr(access, "session", counted)
    async with stream(ada) as page:
        await told(page, "retry:")
        console.clock.pass_by(timedelta(minutes=16))
        seen = checks
        await until(lambda: checks > seen + 1)  # the second is one that began after the time had passed
        console.clock.pass_by(timedelta(minutes=16))
        await told(page, "event: ended")


async def test_one_person_has_so_many_streams(console: Running, ada: Browser) -> None:
    changes: Changes = console.app.state.console.changes
    bo = await console.browser()
    await bo.sign_in("bo")
    pages = [stream(ada) for _ in range(MOST_STREAMS)]
    for page in pages:
        await told(await page.__aenter__(), "retry:")
    async with stream(ada) as refused:
        assert (refused.status, "Retry-After" in refused.headers) == (429, True)
    async with stream(bo) as other:
        assert other.status == 200
    # A page that is closed leaves its place.
    await pages[0].__aexit__(None, None, None)
    await until(lambda: changes.open_pages("ada") < MOST_STREAMS)
    async with stream(ada) as again:
        assert again.status == 200
    for page in pages[1:]:
        await page.__aexit__(None, None, None)
    await until(lambda: changes.open_pages("ada") == changes.open_pages("bo") == 0)


async def test_the_server_stops_though_streams_are_open(console: Running, ada: Browser) -> None:
    async with stream(ada) as page:
        await told(page, "retry:")
        console.server.stop()
        async with asyncio.timeout(8):  # less than what it waits for answers that don't end
            await page.content.read()


class Rows:
    """Fails, then answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def changes(self) -> int:
        self.asked += 1
        if self.asked < 3:
            raise ServiceUnavailable("gone")
        return 7


async def test_the_watch_outlives_trouble_and_asks_only_when_somebody_listens() -> None:
    rows = Rows()
    changes = Changes(rows, poll_seconds=0.001)
    watch = asyncio.create_task(changes.watch())
    for _ in range(50):
        await asyncio.sleep(0)
    assert rows.asked == 0
    with changes.stream("ada") as one:
        assert await one.has_news(20)
        assert changes.number == 7
        assert not await one.has_news(0.01)
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
