"""What belongs to who is signed in: their roles, their API keys and their sessions."""

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from activities.access.keys import MOST_DAYS, key_id_of
from engross.errors import InvalidRequest
from engross.people import EVERY_TENANT
from starters.console.browsing import LOGIN, redirect
from starters.console.identity import Identity, SignedIn
from starters.console.pages.acting import back, field_of, flashes, note
from starters.console.pages.roles import operated
from starters.console.records import CLOSED
from starters.console.rendering import render
from starters.console.state import services_of

ACCOUNT: Final = "/account"
_FOR_EVER: Final = ""
_DAYS: Final = (("30", "30 days"), ("90", "90 days"), ("365", "A year"), (_FOR_EVER, "Until it is revoked"))
_MOST_KEYS: Final = 100

router = APIRouter(include_in_schema=False)


@router.get(ACCOUNT)
async def account(request: Request, identity: SignedIn) -> Response:
    """The page."""
    return await _page(request, identity)


@router.get(f"{ACCOUNT}/keys")
async def after_making(identity: SignedIn) -> Response:
    """Where the browser stands after a key was made, when somebody loads that again."""
    return redirect(ACCOUNT)


@router.post(f"{ACCOUNT}/keys")
async def make_key(request: Request, identity: SignedIn) -> Response:
    """Makes a key, and shows it, this once: no page that can be loaded again has it."""
    access, name = services_of(request).access, identity.person.name
    label, days = await field_of(request, "label"), await field_of(request, "days")
    try:
        working = [key for key in await access.keys(name) if key.works_at(datetime.now(UTC))]
        if len(working) >= _MOST_KEYS:
            raise InvalidRequest(f"you have {_MOST_KEYS} keys that work; revoke those that you don't need")
        key = await access.make_key(name, label, _days(days))
    except InvalidRequest as error:
        return await _page(request, identity, status=422, error=str(error), label=label)
    await note(request, identity, "user.key_made", name, tenant=EVERY_TENANT, detail=key_id_of(key))
    return await _page(request, identity, made=key)


@router.post(f"{ACCOUNT}/keys/{{key_id}}/revoke")
async def revoke_key(request: Request, key_id: str, identity: SignedIn) -> Response:
    """Ends a key of one's own."""
    name = identity.person.name
    if not await services_of(request).access.revoke_key(name, key_id):
        return back(ACCOUNT, "same")
    await note(request, identity, "user.key_revoked", name, tenant=EVERY_TENANT, detail=key_id)
    return back(ACCOUNT, "revoked")


@router.post(f"{ACCOUNT}/sign-out-everywhere")
async def sign_out(request: Request, identity: SignedIn) -> Response:
    """Ends all sessions, this one as well."""
    name = identity.person.name
    await services_of(request).access.close_sessions(name)
    await note(request, identity, CLOSED, name, tenant=EVERY_TENANT, detail="everywhere")
    return redirect(LOGIN)


async def _page(
    request: Request, identity: Identity, *, status: int = 200, made: str = "", error: str = "", label: str = ""
) -> Response:
    now = datetime.now(UTC)
    keys = await services_of(request).access.keys(identity.person.name)
    return render(
        request,
        "account.html",
        status=status,
        keys=[(key, "works" if key.works_at(now) else "revoked" if key.revoked_at else "expired") for key in keys],
        made=made,
        error=error,
        label=label,
        days=_DAYS,
        is_operator=bool(operated(identity.person)),
        flashes=flashes(request),
    )


def _days(text: str) -> int | None:
    if text == _FOR_EVER:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_DAYS))):
        raise InvalidRequest(f"a key holds for 1 to {MOST_DAYS} days")
    return int(text)
