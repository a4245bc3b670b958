"""Signing in with a password, and out."""

import math
import secrets
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from engross.errors import NotSignedIn, TooManyRequests
from starters.console.addresses import local_path
from starters.console.browsing import HOME, LOGIN, OIDC, address_of, is_htmx, redirect
from starters.console.identity import (
    COOKIE,
    CSRF_FIELD,
    SignedIn,
    is_same,
    live_session,
    read_form,
    refuse_forged,
)
from starters.console.limits import network
from starters.console.records import CLOSED, OPENED, REFUSED, record
from starters.console.rendering import render
from starters.console.state import console_of

FORM_COOKIE: Final = "__Host-engross-form"
_TOKEN_BYTES: Final = 32
_WAIT: Final = "too many failures; wait, and try again"

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
async def login_page(request: Request) -> Response:
    """The form; who has signed in already is led on."""
    target = local_path(request.query_params.get("next", ""), HOME)
    if await live_session(console_of(request), request.cookies.get(COOKIE, ""), is_used=True) is not None:
        return redirect(target)
    return login_form(request, target)


@router.post(LOGIN)
async def login(request: Request) -> Response:
    """Signs in, and leads to where somebody wanted to go."""
    form = await own_form(request)
    check_sign_ins(request)
    name, password = _text(form, "name"), _text(form, "password")
    target = local_path(_text(form, "next"), HOME)
    access = console_of(request).services.access
    try:
        person = await access.sign_in(name, password)
    except NotSignedIn as error:
        known = await access.person(name)
        await record(request, REFUSED, known.name if known else "", "wrong name or password")
        return login_form(request, target, status=401, error=str(error), name=name)
    except TooManyRequests as error:
        wait = str(max(1, math.ceil(error.seconds)))
        return login_form(request, target, status=429, error=_WAIT, name=name, headers={"Retry-After": wait})
    return await enter(request, person.name, target, "password")


@router.post("/logout")
async def logout(request: Request, identity: SignedIn) -> Response:
    """Ends the session here, so that its cookie is worth nothing any more, wherever it is."""
    await console_of(request).services.access.close_session(request.cookies[COOKIE])
    await record(request, CLOSED, identity.person.name)
    request.state.identity = None
    response = Response(headers={"HX-Redirect": LOGIN}) if is_htmx(request) else redirect(LOGIN)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


def login_form(
    request: Request,
    target: str,
    *,
    status: int = 200,
    error: str = "",
    name: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """The page, which leads to `target` afterwards. Before anybody has a session, a cookie holds the form's token."""
    issuer = console_of(request).issuer
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"csrf": token, "next": target, "error": error, "name": name}
    values |= {"provider": issuer.name if issuer else "", "provider_href": f"{OIDC}?next={quote(target, safe='')}"}
    response = render(request, "login.html", status=status, headers=headers, **values)
    response.set_cookie(FORM_COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")
    return response


async def own_form(request: Request) -> FormData:
    """A form that is sent before signing in. HTTP error 403 unless it is ours, in the browser that got it."""
    if not console_of(request).site.is_from_here(request.headers):
        raise refuse_forged(request, "other origin")
    form = await read_form(request)
    if not is_same(_text(form, CSRF_FIELD), request.cookies.get(FORM_COOKIE, "")):
        raise refuse_forged(request, "no token of this browser")
    return form


def check_sign_ins(request: Request) -> None:
    """Raises `TooManyRequests` when so many sign-ins come from one address: each costs a hash made to be slow."""
    if (seconds := console_of(request).sign_ins.wait(network(address_of(request)))) > 0:
        raise TooManyRequests("too many sign-ins from your address; wait a moment", seconds)


async def enter(request: Request, name: str, target: str, how: str) -> Response:
    """Opens a session for who has just proved to be `name`, and ends the one that this browser had."""
    services = console_of(request).services
    if old := request.cookies.get(COOKIE):
        await services.access.close_session(old)
    session = await services.access.open_session(
        name,
        idle=timedelta(minutes=services.settings.session_idle_minutes),
        longest=timedelta(hours=services.settings.session_hours),
    )
    await record(request, OPENED, session.person.name, how)
    response = redirect(target)
    response.set_cookie(COOKIE, session.token, path="/", secure=True, httponly=True, samesite="strict")
    response.delete_cookie(FORM_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


def _text(form: FormData, field: str) -> str:
    value = form.get(field, "")
    return value if isinstance(value, str) else ""
