"""ASGI middleware around the codec server: how often, how much, and a last resort; every error is JSON (RFC 9457)."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engross.errors import EngrossError, KeyUnavailable, NotSignedIn, TenantErased, TooManyRequests
from starters.codec.state import server_of
from starters.console.browsing import address_of
from starters.console.limits import limited, network
from starters.console.problems import PROBLEM, status_of

HEALTH: Final = "/health"
# A page of a history, in base64: Temporal's messages have 4 MB at most.
BODY_BYTES: Final = 8_000_000
_OURS: Final = 500

_log = structlog.get_logger(__name__)


class Gate:
    """Counts requests by address, bounds bodies, and answers what nobody expected without details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if (seconds := server_of(request).clients.wait(network(address_of(request)))) > 0:
            error = TooManyRequests("too many requests from your address; wait a moment", seconds)
            await _of_error(error)(scope, receive, send)
            return
        await self._answer(scope, limited(receive, Headers(scope=scope), BODY_BYTES), send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # Messages of libraries can quote payloads: the type is enough.
            _log.error("failed", error=type(error).__name__)
            if has_begun:
                raise
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Makes `app` answer errors so."""
    app.add_exception_handler(EngrossError, _engross_error)
    app.add_exception_handler(HTTPException, _http_error)


def problem(status: int, detail: str = "", error: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An error as JSON. `detail` of our own trouble, 500 and more, is for the log only."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} if detail and status < _OURS else {}
    body |= {"error": error} if error else {}
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM)


async def _engross_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, EngrossError)  # noqa: S101 - that is what it is registered for
    return _of_error(error)


def _of_error(error: EngrossError) -> Response:
    status, headers = status_of(error), {}
    if isinstance(error, TenantErased):
        status = HTTPStatus.GONE
    elif isinstance(error, KeyUnavailable):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, NotSignedIn):
        headers = {"WWW-Authenticate": "Bearer"}
    elif isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(max(1, math.ceil(error.seconds)))}
    if status >= _OURS:
        _log.error("failed", error=error.type, message=str(error))
    return problem(status, str(error), error.type, headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    return problem(error.status_code, str(error.detail), headers=error.headers)
