"""`engross users`: people, their roles, groups and passwords. Every change is one line of the audit log."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import typer

from engross.errors import InvalidRequest
from engross.people import EVERY_TENANT, Person, Role
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table
from starters.cli.users_access import Access, with_access

# More than any password may have, and an end to what has no line.
_MOST_READ: Final = 2000


# --- who there is -----------------------------------------------------------------------------------------------------


def first(settings: Settings, name: str, *, email: str, stdin: bool, as_json: bool) -> ExitCode:
    """Adds the first person. Asks for no password when somebody exists."""

    async def check(access: Access) -> bool:
        return await access.store.is_empty()

    if not with_access(settings, check):
        raise InvalidRequest("somebody exists already; `engross users add` adds more")
    secret = _password(stdin=stdin)

    async def work(access: Access) -> Person:
        person = await access.store.add_first(name, email=email, password=secret)
        await access.record(person.name, "user.added", "the first: every role")
        return person

    _show_added(with_access(settings, work), as_json=as_json)
    return ExitCode.OK


def add(settings: Settings, name: str, *, email: str, stdin: bool, without: bool, as_json: bool) -> ExitCode:
    """Adds somebody without rights."""
    if stdin and without:
        raise InvalidRequest("--password-stdin and --no-password exclude each other")
    secret = None if without else _password(stdin=stdin)

    async def work(access: Access) -> Person:
        person = await access.store.add(name, email=email, password=secret)
        await access.record(person.name, "user.added")
        return person

    _show_added(with_access(settings, work), as_json=as_json)
    return ExitCode.OK


def list_users(settings: Settings, tenant: str | None, *, as_json: bool) -> ExitCode:
    """Shows a line for each."""

    async def ask(access: Access) -> list[Person]:
        return await access.store.people(tenant)

    people = with_access(settings, ask)
    if as_json:
        for person in people:
            data(_json_of(person))
    elif people:
        _show(people)
    else:
        note("nobody is there yet; `engross users first NAME` adds the first user")
    return ExitCode.OK


def set_active(settings: Settings, name: str, *, active: bool) -> ExitCode:
    """Lets somebody in again, or keeps them out."""
    word = "activated" if active else "deactivated"
    return _change(settings, name, f"user.{word}", lambda access: access.store.set_active(name, active))


def set_email(settings: Settings, name: str, email: str) -> ExitCode:
    return _change(settings, name, "user.email", lambda access: access.store.set_email(name, email))


def password(settings: Settings, name: str, *, stdin: bool) -> ExitCode:
    """Gives somebody a new password."""
    secret = _password(stdin=stdin)

    async def change(access: Access) -> bool:
        await access.store.set_password(name, secret)
        return True

    return _change(settings, name, "user.password", change)


# --- what they may do -------------------------------------------------------------------------------------------------


def grant(settings: Settings, name: str, tenant: str, role: Role) -> ExitCode:
    return _change(
        settings, name, "user.granted", lambda access: access.store.grant(name, tenant, role), str(role), tenant
    )


def revoke(settings: Settings, name: str, tenant: str, role: Role) -> ExitCode:
    return _change(
        settings, name, "user.revoked", lambda access: access.store.revoke(name, tenant, role), str(role), tenant
    )


def join(settings: Settings, name: str, tenant: str, group: str) -> ExitCode:
    return _change(settings, name, "user.joined", lambda access: access.store.join(name, tenant, group), group, tenant)


def leave(settings: Settings, name: str, tenant: str, group: str) -> ExitCode:
    return _change(settings, name, "user.left", lambda access: access.store.leave(name, tenant, group), group, tenant)


# --- both -------------------------------------------------------------------------------------------------------------


def _change(
    settings: Settings,
    name: str,
    action: str,
    change: Callable[[Access], Awaitable[bool]],
    detail: str = "",
    tenant: str = EVERY_TENANT,
) -> ExitCode:
    async def work(access: Access) -> bool:
        has_changed = await change(access)
        if has_changed:
            await access.record(name.lower(), action, detail, tenant)
        return has_changed

    has_changed = with_access(settings, work)
    said = " ".join(filter(None, [name.lower(), action.removeprefix("user."), detail]))
    note(said if has_changed else f"{name.lower()}: nothing to change")
    return ExitCode.OK


def _password(*, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline(_MOST_READ).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidRequest("there is no terminal to ask for a password on; pipe it in with --password-stdin")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    return asked


def _show_added(person: Person, *, as_json: bool) -> None:
    if as_json:
        data(_json_of(person))
    else:
        data(clean(person.name))


def _show(people: Sequence[Person]) -> None:
    table = plain_table("name", "active", "e-mail", "roles", "groups")
    for person in people:
        active = "yes" if person.is_active else "no"
        table.add_row(*cells(person.name, active, person.email, _held(person.roles), _held(person.groups)))
    out.print(table)


def _held(by_tenant: Mapping[str, frozenset[Role]] | Mapping[str, frozenset[str]]) -> str:
    """`acme: approver, senior; *: viewer`."""
    return "; ".join(f"{tenant}: {', '.join(sorted(held))}" for tenant, held in sorted(by_tenant.items()))


def _json_of(person: Person) -> str:
    roles, groups = (
        {tenant: sorted(held) for tenant, held in sorted(each.items())} for each in (person.roles, person.groups)
    )
    told = {"name": person.name, "email": person.email, "is_active": person.is_active}
    return json.dumps(told | {"roles": roles, "groups": groups})
