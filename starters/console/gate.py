"""ASGI middleware around everything: which host is asked, how often, how much is sent; and a line of the log for it."""

import math
import time
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starters.console.basics import LIVE, READY
from starters.console.browsing import address_of
from starters.console.limits import FORM_BYTES, limited, network
from starters.console.problems import problem
from starters.console.state import Console, console_of

# Asked by whatever watches the process, by any name or address.
_OPEN: Final = (LIVE, READY)
_LONGEST_PATH: Final = 200

_log = structlog.get_logger(__name__)


class Gate:
    """`bodies` has the bytes that may be sent to some paths; to any other, `FORM_BYTES`."""

    def __init__(self, app: ASGIApp, bodies: Mapping[str, int]) -> None:
        self._app = app
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        request, headers = Request(scope), Headers(scope=scope)
        console = console_of(request)
        if not console.site.is_ours(headers.get("host", "")):
            await problem(request, 421, "ask this server by the name in ENGROSS_CONSOLE_URL")(scope, receive, send)
        elif (seconds := _wait(console, request)) > 0:
            retry = {"Retry-After": str(math.ceil(seconds))}
            answer = problem(
                request,
                429,
                "too many requests from your address; wait a moment",
                error="TooManyRequests",
                headers=retry,
            )
            await answer(scope, receive, send)
        else:
            await self._app(scope, limited(receive, headers, self._bodies.get(scope["path"], FORM_BYTES)), send)


class AccessLog:
    """One line for each request: nothing of its query, its form or its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            request = Request(scope)
            identity = getattr(request.state, "identity", None)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"][:_LONGEST_PATH],
                status=status,
                ms=round((time.monotonic() - began) * 1000),
                address=address_of(request),
                person=identity.person.name if identity else None,
            )


def _wait(console: Console, request: Request) -> float:
    return console.clients.wait(network(address_of(request)))
