"""What every server has: whether it works, its static files, live updates, and a first page to go to."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, Response

from engross.errors import EngrossError
from starters.console.browsing import EVENTS, HOME, redirect
from starters.console.events import Stream
from starters.console.headers import STATIC
from starters.console.identity import COOKIE, SignedIn, live_session
from starters.console.state import console_of, services_of

LIVE: Final = "/live"
READY: Final = "/ready"
_CHECK_SECONDS: Final = 3.0
_SESSION_SECONDS: Final = 10.0
_AGAIN_MILLISECONDS: Final = 3000

_log = structlog.get_logger(__name__)

open_router = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False)


@open_router.get("/")
async def start() -> Response:
    return redirect(HOME)


@open_router.get(STATIC + "{name:path}")
async def static(request: Request, name: str, v: str = "") -> Response:
    return console_of(request).pages.files.answer(name, v)


@open_router.get(LIVE)
async def live() -> Response:
    return JSONResponse({"live": True})


@open_router.get(READY)
async def ready(request: Request) -> Response:
    """200 when Temporal and the database answer in time, else 503 with which of them does not; why is in the log."""
    services = services_of(request)
    checks = {"temporal": services.temporal.service_client.check_health(), "database": services.rows.changes()}
    results = dict(zip(checks, await asyncio.gather(*map(_answers, checks.values())), strict=True))
    is_ready = all(results.values())
    said = {name: "ok" if good else "does not answer" for name, good in results.items()}
    return JSONResponse({"ready": is_ready, "checks": said}, 200 if is_ready else 503)


async def _answers(check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return (await check) is not False
    except EngrossError as error:
        _log.warning("not ready", error=error.type, message=str(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a dependency, the answer is "not ready"
        _log.warning("not ready", error=type(error).__name__)
    return False


async def _place(request: Request, identity: SignedIn) -> AsyncIterator[Stream]:
    with console_of(request).changes.stream(identity.person.name) as stream:
        yield stream


@router.get(EVENTS, response_class=EventSourceResponse)
async def events(request: Request, stream: Annotated[Stream, Depends(_place)]) -> AsyncIterator[ServerSentEvent]:
    """`changed` when something may look different now, `ended` when the session is over. A comment each 15 s."""
    console, token = console_of(request), request.cookies[COOKIE]
    yield ServerSentEvent(comment="watching", retry=_AGAIN_MILLISECONDS)
    checked = time.monotonic()
    while not console.changes.is_closed:
        has_news = await stream.has_news(_SESSION_SECONDS)
        if time.monotonic() - checked >= _SESSION_SECONDS:
            checked = time.monotonic()
            if await live_session(console, token, is_used=False) is None:
                yield ServerSentEvent(event="ended", raw_data="over")
                return
        if has_news and not console.changes.is_closed:
            yield ServerSentEvent(event="changed", raw_data=str(console.changes.number))
