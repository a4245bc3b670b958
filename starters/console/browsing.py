"""What a request is like: from a program or a browser, from htmx or a whole page, and where its client is."""

from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse

from starters.console.addresses import local_path

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
API: Final = "/api/"
EVENTS: Final = "/events"
LOGIN: Final = "/login"
OIDC: Final = "/login/oidc"
HOME: Final = "/inbox"
# Pages send it with what they ask for by themselves, when an event tells them to.
BACKGROUND: Final = "X-Engross-Background"


def is_api(request: Request) -> bool:
    """Whether a program asks, which gets JSON."""
    return request.url.path.startswith(API)


def is_htmx(request: Request) -> bool:
    """Whether a part of a page is replaced by the answer."""
    return "HX-Request" in request.headers


def is_background(request: Request) -> bool:
    """Whether a page asks by itself, so that it is no sign of somebody who uses it."""
    return request.url.path == EVENTS or BACKGROUND in request.headers


def comes_from_elsewhere(request: Request) -> bool:
    """Whether somebody followed a link on another site, so that the browser kept the session's strict cookie back."""
    headers = request.headers
    is_navigation = headers.get("sec-fetch-mode") == "navigate" and not is_htmx(request)
    return request.method == "GET" and is_navigation and headers.get("sec-fetch-site") == "cross-site"


def address_of(request: Request) -> str:
    """The client's address; behind a proxy what that says, as far as uvicorn trusts it."""
    return request.client.host if request.client else ""


def redirect(target: str) -> RedirectResponse:
    """The browser goes there with a GET."""
    return RedirectResponse(target, 303)


def own_address(request: Request) -> str:
    """Path and query of the request, as they were sent."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return local_path(path + (f"?{query}" if query else ""), HOME)


def login_address(request: Request) -> str:
    """The sign-in page that leads back to the page which the person is on."""
    if is_htmx(request):
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        target = page.path + (f"?{page.query}" if page.query else "")
    else:
        target = own_address(request) if request.method == "GET" else ""
    back = local_path(target, HOME)
    return LOGIN if back == HOME else f"{LOGIN}?next={quote(back, safe='')}"
