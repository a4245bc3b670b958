"""Who asks: by a session's cookie in a browser, by an API key elsewhere. What every route depends on.

A cookie travels with whatever a browser is made to send, so a request by cookie that may change something has to come
from a page of ours and carry its session's token. A key is sent on purpose, and needs neither.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.datastructures import FormData

from activities.access import Session
from engross.errors import NotAuthorised, NotSignedIn, TooManyRequests
from engross.people import Person
from starters.console.browsing import SAFE_METHODS, address_of, is_api, is_background
from starters.console.forms import MOST_PAIRS
from starters.console.state import Console, console_of

COOKIE: Final = "__Host-engross"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
# Above what the forms of answers may have, so that these say by themselves what is too much.
_MOST_FIELDS: Final = MOST_PAIRS + 200
# Only for the description of the API: `caller` reads both by itself.
_KEY: Final = HTTPBearer(auto_error=False, description="An API key, which `engross users key` makes")
_SESSION: Final = APIKeyCookie(name=COOKIE, auto_error=False, description=f"A session; {CSRF_HEADER} is needed as well")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Identity:
    """`session` is None for who comes with an API key; `source` and `address` are for what they do (`Act`)."""

    person: Person
    session: Session | None
    address: str

    @property
    def csrf(self) -> str:
        """The token that forms need; "" where none is."""
        return self.session.csrf if self.session else ""

    @property
    def source(self) -> str:
        return "console" if self.session else "api"


async def signed_in(request: Request) -> Identity:
    """Who has signed in, in a browser.

    Raises `NotSignedIn`, which leads to the sign-in page, `TooManyRequests`, and HTTP error 403 for a request that
    changes something and is not from a page of their session.
    """
    console = console_of(request)
    session = await live_session(console, request.cookies.get(COOKIE, ""), is_used=not is_background(request))
    if session is None:
        raise NotSignedIn("nobody is signed in, or no longer; sign in")
    if request.method not in SAFE_METHODS:
        await _check_own(request, console, session)
    return _counted(request, console, Identity(session.person, session, address_of(request)))


async def caller(
    request: Request, _key: Annotated[object, Security(_KEY)], _session: Annotated[object, Security(_SESSION)]
) -> Identity:
    """Who asks the API, by key or by session; a key that is wrong is not made good by a session."""
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return await signed_in(request)
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("send an API key as `Authorization: Bearer eg_...`")
    console = console_of(request)
    person = await console.services.access.by_key(key.strip())
    return _counted(request, console, Identity(person, None, address_of(request)))


SignedIn = Annotated[Identity, Depends(signed_in)]
Caller = Annotated[Identity, Depends(caller)]


def must_see(person: Person, tenant: str) -> None:
    """Raises `NotAuthorised` unless they may look at what belongs to `tenant`."""
    if not person.may_see(tenant):
        raise NotAuthorised("you have no role for the tenant that this belongs to; ask an operator")


async def live_session(console: Console, token: str, *, is_used: bool) -> Session | None:
    """The session of that token; None when there is none, or it has ended. `is_used`: a person does something now."""
    if not token:
        return None
    return await console.services.access.session(token, is_used=is_used)


async def read_form(request: Request) -> FormData:
    """The form that was sent; empty when it is none. Raises HTTP error 400 or 413 for one that is too large."""
    return await request.form(max_files=0, max_fields=_MOST_FIELDS)


def is_same(given: str, right: str) -> bool:
    """Whether a token is right; takes as long however much of it is."""
    return bool(right) and hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def refuse_forged(request: Request, reason: str) -> HTTPException:
    """What to raise when a request was made by somebody else's page, or by ours in another session."""
    _log.warning("refused", reason=reason, path=request.url.path, address=address_of(request))
    return HTTPException(403, "this did not come from a page of your session: reload the page, and try again")


async def _check_own(request: Request, console: Console, session: Session) -> None:
    if not console.site.is_from_here(request.headers):
        raise refuse_forged(request, "other origin")
    given = request.headers.get(CSRF_HEADER)
    if given is None and not is_api(request):  # the bodies of the API are its routes' own to read
        field = (await read_form(request)).get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    if not is_same(given or "", session.csrf):
        raise refuse_forged(request, "no token of this session")


def _counted(request: Request, console: Console, identity: Identity) -> Identity:
    # Kept for the page around errors, and for the access log.
    request.state.identity = identity
    if (seconds := console.users.wait(identity.person.name)) > 0:
        raise TooManyRequests("you ask too often; wait a moment", seconds)
    return identity
