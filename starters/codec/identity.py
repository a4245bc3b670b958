"""Who asks: by an API key, by the issuer's token that the Web UI passes on, or by the console's session.

A session's cookie travels with whatever a browser is made to send, so it counts only with the Web UI's own origin.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from engross.errors import NotAuthorised, NotSignedIn, TooManyRequests
from engross.people import Person
from starters.codec.state import CodecServer, server_of
from starters.console.identity import COOKIE

# Where the Web UI passes an access token on, the id token, which says who that is, comes beside it.
ID_TOKEN: Final = "Authorization-Extras"  # noqa: S105 - a header's name
_KEY_BEGINS: Final = "eg_"


@dataclass(frozen=True)
class Identity:
    """`how` is "key", "oidc" or "session"."""

    person: Person
    how: str


async def caller(request: Request) -> Identity:
    """Who asks. Raises `NotSignedIn`, `NotAuthorised` for a session from elsewhere, and `TooManyRequests`."""
    server = server_of(request)
    if "Authorization" in request.headers:
        identity = await _by_header(request, server)
    else:
        identity = await _by_session(request, server)
    request.state.identity = identity  # for the access log
    if (seconds := server.users.wait(identity.person.name)) > 0:
        raise TooManyRequests("you ask too often; wait a moment", seconds)
    return identity


Caller = Annotated[Identity, Depends(caller)]


async def _by_header(request: Request, server: CodecServer) -> Identity:
    scheme, _, key = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("send an API key as `Authorization: Bearer eg_...`")
    if key.strip().startswith(_KEY_BEGINS):
        return Identity(await server.access.by_key(key.strip()), "key")
    token = request.headers.get(ID_TOKEN)
    if server.issuer is None or not token:
        raise NotSignedIn("that is no API key of ours, and no token of an issuer in ENGROSS_OIDC_ISSUER came with it")
    subject = await server.issuer.subject_of(token.strip())
    person = await server.access.by_subject(subject.issuer, subject.subject)
    if person is None:
        raise NotSignedIn("the console does not know you yet: sign in there once")
    return Identity(person, "oidc")


async def _by_session(request: Request, server: CodecServer) -> Identity:
    token = request.cookies.get(COOKIE, "")
    # Not a use of the session: the Web UI asks by itself as long as a page of it is open.
    session = await server.access.session(token, is_used=False) if token else None
    if session is None:
        raise NotSignedIn("nobody is signed in: sign in to the console in this browser, or send an API key")
    if not server.origin or request.headers.get("Origin") != server.origin:
        raise NotAuthorised("a session counts only from Temporal's Web UI, at the address in ENGROSS_WEB_UI_URL")
    return Identity(session.person, "session")
