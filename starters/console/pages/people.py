"""Who may do what, for operators: roles and groups of their tenants, and who may sign in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from activities.access import AccessStore
from engross.errors import InvalidRequest, NotAuthorised
from engross.people import EVERY_TENANT, Person, Role
from starters.console.identity import Identity, SignedIn
from starters.console.pages.acting import back, field_of, flashes, note
from starters.console.pages.roles import may_deactivate, must_be_other, must_operate, operated
from starters.console.rendering import render
from starters.console.state import services_of

PEOPLE: Final = "/people"
_ROLES: Final = tuple(role.value for role in Role)

router = APIRouter(include_in_schema=False)

Change = Callable[[AccessStore, str, str, str], Awaitable[bool]]


@dataclass(frozen=True)
class Held:
    """Something that somebody holds for a tenant. `may_take`: who looks at it may take it from them."""

    tenant: str
    name: str
    may_take: bool


@dataclass(frozen=True)
class PersonRow:
    """Somebody, with what they hold for the tenants of who looks at it."""

    person: Person
    roles: list[Held]
    groups: list[Held]
    is_self: bool
    may_deactivate: bool


@router.get(PEOPLE)
async def people(request: Request, identity: SignedIn) -> Response:
    """The page: everybody who may do something for the tenants that one operates."""
    return await _page(request, identity)


@router.post(f"{PEOPLE}/grant")
async def grant(request: Request, identity: SignedIn) -> Response:
    return await _change(request, identity, "user.granted", "role", _give)


@router.post(f"{PEOPLE}/revoke")
async def revoke(request: Request, identity: SignedIn) -> Response:
    return await _change(request, identity, "user.revoked", "role", _take)


@router.post(f"{PEOPLE}/join")
async def join(request: Request, identity: SignedIn) -> Response:
    return await _change(request, identity, "user.joined", "group", AccessStore.join)


@router.post(f"{PEOPLE}/leave")
async def leave(request: Request, identity: SignedIn) -> Response:
    return await _change(request, identity, "user.left", "group", AccessStore.leave)


@router.post(f"{PEOPLE}/deactivate")
async def deactivate(request: Request, identity: SignedIn) -> Response:
    return await _set_active(request, identity, active=False)


@router.post(f"{PEOPLE}/activate")
async def activate(request: Request, identity: SignedIn) -> Response:
    return await _set_active(request, identity, active=True)


async def _change(request: Request, identity: Identity, action: str, field: str, change: Change) -> Response:
    """Changes what somebody else holds for a tenant. What can't be done is told beside the form."""
    name, tenant = await field_of(request, "name"), await field_of(request, "tenant")
    what = await field_of(request, field)
    must_operate(identity.person, tenant)
    must_be_other(identity.person, name)
    try:
        has_changed = await change(services_of(request).access, name, tenant, what)
    except InvalidRequest as error:
        return await _page(request, identity, status=422, error=str(error))
    if has_changed:
        await note(request, identity, action, name.lower(), tenant=tenant, detail=what)
    return back(PEOPLE, "changed" if has_changed else "same")


async def _set_active(request: Request, identity: Identity, *, active: bool) -> Response:
    access = services_of(request).access
    must_be_other(identity.person, await field_of(request, "name"))
    other = await access.person(await field_of(request, "name"))
    if not operated(identity.person) or other is None or not may_deactivate(identity.person, other):
        raise NotAuthorised("for that, be an operator for all that they have a role or group for; ask one who is")
    if not await access.set_active(other.name, active):
        return back(PEOPLE, "same")
    action = "user.activated" if active else "user.deactivated"
    await note(request, identity, action, other.name, tenant=EVERY_TENANT)
    return back(PEOPLE, "changed")


async def _give(access: AccessStore, name: str, tenant: str, role: str) -> bool:
    return await access.grant(name, tenant, _role(role))


async def _take(access: AccessStore, name: str, tenant: str, role: str) -> bool:
    return await access.revoke(name, tenant, _role(role))


def _role(text: str) -> Role:
    if text not in _ROLES:
        raise InvalidRequest(f"there is no such role; there are {', '.join(_ROLES)}")
    return Role(text)


async def _page(request: Request, identity: Identity, *, status: int = 200, error: str = "") -> Response:
    person, access = identity.person, services_of(request).access
    tenants = operated(person)
    if not tenants:
        raise NotAuthorised("only operators see who may do what; ask one of them")
    if EVERY_TENANT in tenants:
        found = await access.people()
    else:
        every = {each.name: each for tenant in tenants for each in await access.people(tenant)}
        found = [every[name] for name in sorted(every)]
    return render(
        request,
        "people.html",
        status=status,
        rows=[_row(person, each) for each in found],
        tenants=tenants,
        is_for_all=EVERY_TENANT in tenants,
        roles=_ROLES,
        error=error,
        flashes=flashes(request),
    )


def _row(person: Person, other: Person) -> PersonRow:
    """What somebody holds elsewhere is none of the business of who operates only here."""
    is_self = person.name == other.name
    roles = [(tenant, role.value) for tenant, held in other.roles.items() for role in held]
    groups = [(tenant, group) for tenant, held in other.groups.items() for group in held]
    return PersonRow(
        person=other,
        roles=_seen(person, roles, is_self=is_self),
        groups=_seen(person, groups, is_self=is_self),
        is_self=is_self,
        may_deactivate=may_deactivate(person, other),
    )


def _seen(person: Person, held: list[tuple[str, str]], *, is_self: bool) -> list[Held]:
    return [
        Held(tenant, name, may_take=person.may_operate(tenant) and not is_self)
        for tenant, name in sorted(held)
        if tenant == EVERY_TENANT or person.may_operate(tenant)
    ]
