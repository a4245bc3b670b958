"""The rows of people, of their roles and groups, and of who they are at an OpenID Connect issuer."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, Table, delete, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.access.clock import Clock
from activities.access.naming import (
    as_kept,
    check_email,
    check_group,
    check_role,
    check_tenant,
    check_user,
    is_opaque,
    no_such,
)
from activities.access.tables import GROUPS, LINKS, PEOPLE, ROLES, SESSIONS
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import InvalidRequest
from engross.people import EVERY_TENANT, Person, Role

_SHOWN: Final = (PEOPLE.c.name, PEOPLE.c.email, PEOPLE.c.is_active)


class People:
    """Names are taken in upper and lower case alike. What changes returns whether it changed anything."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    # --- reading ----------------------------------------------------------------------------------------------------

    async def get(self, name: str) -> Person | None:
        """The person of that name, active or not."""
        found = await self._find(PEOPLE.c.name == as_kept(name))
        return found[0] if found else None

    async def everybody(self, tenant: str | None) -> list[Person]:
        """All of them, or those with a role or group that holds for `tenant`, in order of their names."""
        if tenant is None:
            return await self._find(true())
        check_tenant(tenant)
        held = [
            PEOPLE.c.name.in_(select(table.c.name).where(table.c.tenant.in_((tenant, EVERY_TENANT))))
            for table in (ROLES, GROUPS)
        ]
        return await self._find(or_(*held))

    async def by_subject(self, issuer: str, subject: str) -> Person | None:
        """Who is active, and `subject` at `issuer`."""
        if not is_opaque(issuer) or not is_opaque(subject):
            return None
        linked = select(LINKS.c.name).where(LINKS.c.issuer == issuer, LINKS.c.subject == subject)
        return await self._only(PEOPLE.c.name.in_(linked))

    async def by_email(self, email: str) -> Person | None:
        """Who is active and has that address, in upper and lower case alike; None when several have."""
        return await self._only(func.lower(PEOPLE.c.email) == email.lower()) if is_opaque(email) else None

    async def is_linked(self, name: str, issuer: str) -> bool:
        """Whether that person is known at `issuer` under any subject."""
        if not is_opaque(issuer):
            return False
        query = select(LINKS.c.subject).where(LINKS.c.issuer == issuer, LINKS.c.name == as_kept(name))
        return bool(await self._database.fetch(query))

    async def is_empty(self) -> bool:
        return not await self._database.fetch(select(PEOPLE.c.name).limit(1))

    async def password_of(self, name: str) -> str | None:
        """The hash; None when there is none, and for a name that nobody has."""
        found = await self._database.fetch(select(PEOPLE.c.password).where(PEOPLE.c.name == as_kept(name)))
        return found[0]["password"] if found else None

    async def _only(self, where: ColumnElement[bool]) -> Person | None:
        found = await self._find(where)
        return found[0] if len(found) == 1 and found[0].is_active else None

    async def _find(self, where: ColumnElement[bool]) -> list[Person]:
        named = select(PEOPLE.c.name).where(where)
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(*_SHOWN).where(where).order_by(PEOPLE.c.name))).all()
            # A role that this version does not know gives no right.
            roles = await _sets(connection, named, ROLES.c.role, ROLES.c.role.in_([*Role]))
            groups = await _sets(connection, named, GROUPS.c.member_of, true())
        return [
            Person(
                name=row.name,
                email=row.email,
                is_active=row.is_active,
                roles={tenant: frozenset(map(Role, held)) for tenant, held in roles.get(row.name, {}).items()},
                groups={tenant: frozenset(held) for tenant, held in groups.get(row.name, {}).items()},
            )
            for row in rows
        ]

    # --- writing ----------------------------------------------------------------------------------------------------

    async def add(self, name: str, *, email: str, password: str | None, roles: Iterable[Role], is_first: bool) -> None:
        """Adds somebody with `roles` for every tenant; `password` is a hash. `is_first` refuses unless nobody exists.

        Raises `InvalidRequest` when the name is taken, by a group too, or no name.
        """
        name = check_user(name)
        row = {"name": name, "email": check_email(email), "password": password, "is_active": True}
        row |= {"created_at": stamp(self._now())}
        async with self._database.writing() as connection:
            added = self._database.insert(PEOPLE).values(row).on_conflict_do_nothing()
            if (await connection.execute(added.returning(PEOPLE.c.name))).first() is None:
                raise InvalidRequest(f"{name!r} is taken; choose another name")
            if is_first and await _exists(connection, PEOPLE.c.name != name):
                raise InvalidRequest("somebody exists already; `engross users add` adds more")
            if await _exists(connection, GROUPS.c.member_of == name):
                raise InvalidRequest(f"a group is called {name!r}, and approvals ask people and groups by name")
            for role in roles:
                held = {"name": name, "tenant": EVERY_TENANT, "role": role}
                await connection.execute(self._database.insert(ROLES).values(held))

    async def set_password(self, name: str, hashed: str) -> None:
        """Replaces the hash, and ends the person's sessions. Raises `InvalidRequest` when nobody has that name."""
        async with self._database.writing() as connection:
            changed = update(PEOPLE).where(PEOPLE.c.name == as_kept(name)).values(password=hashed)
            if not (await connection.execute(changed)).rowcount:
                raise no_such(name)
            await connection.execute(delete(SESSIONS).where(SESSIONS.c.name == as_kept(name)))

    async def replace_hash(self, name: str, old: str, new: str) -> None:
        """A new hash of the same password, unless that has changed meanwhile."""
        same = update(PEOPLE).where(PEOPLE.c.name == as_kept(name), PEOPLE.c.password == old)
        async with self._database.writing() as connection:
            await connection.execute(same.values(password=new))

    async def set_email(self, name: str, email: str) -> bool:
        changed = update(PEOPLE).where(PEOPLE.c.name == as_kept(name), PEOPLE.c.email != check_email(email))
        async with self._database.writing() as connection:
            return bool((await connection.execute(changed.values(email=email))).rowcount)

    async def set_active(self, name: str, active: bool) -> bool:
        """Lets somebody in again, or keeps them out: their sessions end, and their keys rest until then."""
        changed = update(PEOPLE).where(PEOPLE.c.name == as_kept(name), PEOPLE.c.is_active != active)
        async with self._database.writing() as connection:
            has_changed = bool((await connection.execute(changed.values(is_active=active))).rowcount)
            if not active:
                await connection.execute(delete(SESSIONS).where(SESSIONS.c.name == as_kept(name)))
            return has_changed

    async def give(self, name: str, tenant: str, role: str) -> bool:
        return await self._put(ROLES, {"name": as_kept(name), "tenant": check_tenant(tenant), "role": check_role(role)})

    async def take(self, name: str, tenant: str, role: str) -> bool:
        return await self._remove(
            ROLES, {"name": as_kept(name), "tenant": check_tenant(tenant), "role": check_role(role)}
        )

    async def join(self, name: str, tenant: str, group: str) -> bool:
        """Raises `InvalidRequest` when a person is called so: approvals ask people and groups by name."""
        row = {"name": as_kept(name), "tenant": check_tenant(tenant), "member_of": check_group(group)}
        async with self._database.writing() as connection:
            joined = await self._insert(connection, GROUPS, row)
            if await _exists(connection, PEOPLE.c.name == group):
                raise InvalidRequest(f"a person is called {group!r}, and approvals ask people and groups by name")
            return joined

    async def leave(self, name: str, tenant: str, group: str) -> bool:
        row = {"name": as_kept(name), "tenant": check_tenant(tenant), "member_of": check_group(group)}
        return await self._remove(GROUPS, row)

    async def link(self, name: str, issuer: str, subject: str) -> bool:
        """Raises `InvalidRequest` when that subject is somebody else's, or the person has another one there."""
        if not is_opaque(issuer) or not is_opaque(subject):
            raise InvalidRequest("an issuer and a subject are needed, of 255 printable characters at most")
        row = {"issuer": issuer, "subject": subject, "name": as_kept(name)}
        if await self._put(LINKS, row):
            return True
        found = await self._database.fetch(select(LINKS).where(*_equal(LINKS, row)))
        if not found:
            raise InvalidRequest(f"{name!r} is linked to another account there, or that account to another person")
        return False

    async def _put(self, table: Table, row: Mapping[str, str]) -> bool:
        async with self._database.writing() as connection:
            return await self._insert(connection, table, row)

    async def _insert(self, connection: AsyncConnection, table: Table, row: Mapping[str, str]) -> bool:
        added = self._database.insert(table).values(dict(row)).on_conflict_do_nothing()
        return (await connection.execute(added.returning(table.c.name))).first() is not None

    async def _remove(self, table: Table, row: Mapping[str, str]) -> bool:
        async with self._database.writing() as connection:
            return bool((await connection.execute(delete(table).where(*_equal(table, row)))).rowcount)


def _equal(table: Table, row: Mapping[str, str]) -> list[ColumnElement[bool]]:
    return [table.c[column] == value for column, value in row.items()]


async def _exists(connection: AsyncConnection, where: ColumnElement[bool]) -> bool:
    return (await connection.execute(select(1).where(where).limit(1))).first() is not None


async def _sets(
    connection: AsyncConnection, named: Select[Any], value: Column[Any], where: ColumnElement[bool]
) -> dict[str, dict[str, set[str]]]:
    """What each of the people `named` holds, by name and tenant."""
    columns = value.table.c
    query = select(columns.name, columns.tenant, value.label("held")).where(columns.name.in_(named), where)
    found: dict[str, dict[str, set[str]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.name, {}).setdefault(row.tenant, set()).add(row.held)
    return found
