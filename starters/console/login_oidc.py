"""Signing in at an OpenID Connect issuer."""

from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from engross.errors import InvalidRequest, NotSignedIn
from engross.people import Person
from starters.console.addresses import local_path
from starters.console.browsing import HOME, LOGIN, OIDC, comes_from_elsewhere, redirect
from starters.console.identity import is_same
from starters.console.login import check_sign_ins, enter, login_form
from starters.console.oidc import Issuer, Subject
from starters.console.records import LINKED, REFUSED, record
from starters.console.state import console_of

BACK: Final = f"{OIDC}/callback"
TICKET_COOKIE: Final = "__Host-engross-oidc"
_UNKNOWN: Final = "nobody here is known by that account: ask an operator to add you, with the account's e-mail address"

router = APIRouter(include_in_schema=False)


@router.get(OIDC)
async def begin(request: Request) -> Response:
    """Leads to the issuer. Changes nothing but a cookie of this browser, so that a link can do it."""
    if comes_from_elsewhere(request):
        return redirect(LOGIN)  # no other site starts a sign-in here
    check_sign_ins(request)
    console, issuer = console_of(request), _issuer(request)
    begun = await issuer.begin(console.site.origin + BACK)
    ticket = console.tickets.make(
        {
            "state": begun.state,
            "nonce": begun.nonce,
            "verifier": begun.verifier,
            "next": local_path(request.query_params.get("next", ""), HOME),
        }
    )
    response = redirect(begun.address)
    # Lax, as the browser comes back from another site; it is worth nothing without the answer of the issuer.
    response.set_cookie(TICKET_COOKIE, ticket, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.get(BACK)
async def back(request: Request) -> Response:
    """Signs in who comes back from the issuer. The one GET that opens something: the protocol has it so, and what it
    opens is bound to this browser by a ticket, which is good for one use."""
    check_sign_ins(request)
    try:
        subject, target = await _answered(request)
        person = await _person(request, subject)
    except NotSignedIn as error:
        await record(request, REFUSED, "", "OpenID Connect")
        response = login_form(request, HOME, status=401, error=str(error))
    else:
        response = await enter(request, person.name, target, "OpenID Connect")
    response.delete_cookie(TICKET_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


async def _answered(request: Request) -> tuple[Subject, str]:
    console, issuer = console_of(request), _issuer(request)
    ticket = console.tickets.take(request.cookies.get(TICKET_COOKIE, ""))
    if not is_same(request.query_params.get("state", ""), ticket["state"]):
        raise NotSignedIn("that sign-in was not begun in this browser; begin again")
    subject = await issuer.finish(
        request.query_params,
        verifier=ticket["verifier"],
        nonce=ticket["nonce"],
        redirect_uri=console.site.origin + BACK,
    )
    return subject, ticket["next"]


async def _person(request: Request, subject: Subject) -> Person:
    """Who that is here. Somebody new is linked by the address that the issuer has verified, if nobody else is."""
    access = console_of(request).services.access
    if (known := await access.by_subject(subject.issuer, subject.subject)) is not None:
        return known
    person = await access.by_email(subject.email) if subject.email else None
    if person is None:
        raise NotSignedIn(_UNKNOWN)
    try:
        await access.link(person.name, subject.issuer, subject.subject)
    except InvalidRequest:  # they have another account there, or somebody inactive has this one
        raise NotSignedIn(_UNKNOWN) from None
    await record(request, LINKED, person.name, "OpenID Connect, by e-mail address")
    return person


def _issuer(request: Request) -> Issuer:
    issuer = console_of(request).issuer
    if issuer is None:
        raise HTTPException(404)
    return issuer
