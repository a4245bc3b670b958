"""What people and programs are told when something can't be done: pages, and problems as RFC 9457 has them."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engross.errors import (
    ContentRefused,
    DecisionRefused,
    DocumentError,
    DocumentNotFound,
    DocumentTooLarge,
    DuplicateDecision,
    EngrossError,
    InvalidAnswer,
    InvalidRequest,
    KeyUnavailable,
    LateDecision,
    NotAcceptable,
    NotSignedIn,
    RunNotFound,
    ServiceUnavailable,
    StaleDecision,
    TenantErased,
    TooManyRequests,
    UnknownJob,
    UnsupportedFormat,
)
from starters.console.browsing import comes_from_elsewhere, is_api, is_htmx, login_address, own_address, redirect
from starters.console.identity import COOKIE
from starters.console.rendering import render
from starters.reports import StillRunning

PROBLEM: Final = "application/problem+json"
_log = structlog.get_logger(__name__)

# The first that fits counts, so what is special stands before what is general.
STATUS: Final[tuple[tuple[type[EngrossError], int], ...]] = (
    (NotSignedIn, 401),
    (RunNotFound, 404),
    (DocumentNotFound, 404),
    (UnknownJob, 404),
    (TenantErased, 410),
    (StaleDecision, 409),
    (LateDecision, 409),
    (DuplicateDecision, 409),
    (StillRunning, 409),
    (NotAcceptable, 422),
    (DecisionRefused, 403),  # NotAuthorised, SelfDecision, UnsignedDecision
    (DocumentTooLarge, 413),
    (UnsupportedFormat, 415),
    (DocumentError, 422),
    (InvalidAnswer, 422),
    (ContentRefused, 422),
    (InvalidRequest, 400),
    (TooManyRequests, 429),
    (ServiceUnavailable, 503),
    (KeyUnavailable, 503),
)
_RETRY_SECONDS: Final = 5
_MOST_PROBLEMS: Final = 50
_LONGEST_PROBLEM: Final = 300


def status_of(error: EngrossError) -> int:
    """The HTTP status that stands for `error`."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(
    request: Request,
    status: int,
    detail: str = "",
    *,
    error: str = "",
    headers: Mapping[str, str] | None = None,
    problems: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """The answer: a page, or under /api a problem with `error`, the stable name of its kind.

    `detail` of our own trouble, 500 and more, is for the log only: it can name addresses.
    """
    phrase, told = HTTPStatus(status).phrase, detail if status < 500 else ""
    if is_api(request):
        body: dict[str, Any] = {"type": "about:blank", "title": phrase, "status": status}
        body |= {"detail": told} if told else {}
        body |= {"error": error} if error else {}
        body |= {"problems": list(problems)} if problems else {}
        return JSONResponse(body, status, headers=headers, media_type=PROBLEM)
    return render(request, "error.html", status=status, headers=headers, code=status, phrase=phrase, detail=told)


def install(app: FastAPI) -> None:
    """Makes `app` answer errors so."""
    app.add_exception_handler(EngrossError, _engross_error)
    app.add_exception_handler(AnyHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _engross_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EngrossError)  # noqa: S101 - that is what it is registered for
    status = status_of(error)
    if isinstance(error, NotSignedIn):
        return _not_signed_in(request, error)
    headers = {}
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(max(1, math.ceil(error.seconds)))}
    elif status == 503:
        headers = {"Retry-After": str(_RETRY_SECONDS)}
    if status >= 500:
        _log.error("failed", error=error.type, message=str(error))
    return problem(request, status, str(error), error=error.type, headers=headers)


def _not_signed_in(request: Request, error: NotSignedIn) -> Response:
    if is_api(request):
        return problem(request, 401, str(error), error=error.type, headers={"WWW-Authenticate": "Bearer"})
    if comes_from_elsewhere(request) and COOKIE not in request.cookies:
        # Asked for by a page of ours, the same address gets the cookie, which is kept from links on other sites.
        return render(request, "forward.html", target=own_address(request))
    target = login_address(request)
    return Response(status_code=401, headers={"HX-Redirect": target}) if is_htmx(request) else redirect(target)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)  # noqa: S101 - that is what it is registered for
    # Starlette's own, such as 404 and 405, come with the phrase only, and it is shown anyway.
    detail = error.detail if isinstance(error, HTTPException) and error.detail != _phrase(error.status_code) else ""
    return problem(request, error.status_code, str(detail), headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - that is what it is registered for
    # Where and what kind, not the value, which is whatever somebody sent. They chose names of fields as well.
    problems = [
        {"field": _told(".".join(map(str, each["loc"]))), "message": _told(each["msg"])}
        for each in error.errors()[:_MOST_PROBLEMS]
    ]
    return problem(request, 422, "the request is not acceptable", error="InvalidRequest", problems=problems)


def _told(text: str) -> str:
    """`text` as any client can read it: JSON that was sent can hold half characters."""
    return text.encode("utf-8", "replace").decode()[:_LONGEST_PROBLEM]


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


class LastResort:
    """ASGI middleware: what nobody expected is logged by its kind, and answered without details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # Messages of libraries can quote what people sent: the type and the place are enough.
            _log.error("failed", error=type(error).__name__, place=_place(error))
            if has_begun:
                raise  # the server breaks the connection, so that nobody takes half an answer for a whole one
            await problem(Request(scope), 500)(scope, receive, send)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
