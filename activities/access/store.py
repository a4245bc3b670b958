"""The store of people and of how they sign in: what the console, the REST API, the commands and activities ask."""

from datetime import timedelta

from argon2 import PasswordHasher

from activities.access.clock import Clock, utc_now
from activities.access.keys import KeyInfo, Keys
from activities.access.naming import check_email, check_user, no_such
from activities.access.passwords import Passwords, check_password
from activities.access.people import People
from activities.access.sessions import Session, Sessions
from activities.access.tables import INDEXES, TABLES
from activities.access.throttle import Throttle
from activities.storage.database import Database
from engross.errors import InvalidRequest, NotSignedIn
from engross.people import Person, Role


class AccessStore:
    """People, roles, groups, passwords, API keys and sessions. Names are taken in upper and lower case alike.

    What changes a person returns whether that changed anything, and raises `InvalidRequest` for a name that nobody
    has, or that is none. Every method raises `ServiceUnavailable` when the database does not answer.
    """

    def __init__(self, database: Database, *, now: Clock = utc_now, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._people = People(database, now)
        self._keys = Keys(database, now)
        self._sessions = Sessions(database, now)
        self._throttle = Throttle(database, now)
        self._passwords = Passwords(hasher or PasswordHasher())

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create(TABLES, INDEXES)

    # --- people -----------------------------------------------------------------------------------------------------

    async def person(self, name: str) -> Person | None:
        """The person of that name, active or not."""
        return await self._people.get(name)

    async def people(self, tenant: str | None = None) -> list[Person]:
        """All, or those with a role or group that holds for `tenant`, in order of their names, active or not."""
        return await self._people.everybody(tenant)

    async def is_empty(self) -> bool:
        """Whether nobody exists yet."""
        return await self._people.is_empty()

    async def add(self, name: str, *, email: str = "", password: str | None = None) -> Person:
        """Adds somebody without rights. Without a password they sign in by OpenID Connect or an API key.

        Raises `InvalidRequest` when the name is taken or none, or the password breaks a rule.
        """
        return await self._add(name, email, password, (), is_first=False)

    async def add_first(self, name: str, *, email: str = "", password: str | None = None) -> Person:
        """Adds the first person, who has every role for every tenant. Raises `InvalidRequest` when anybody exists."""
        return await self._add(name, email, password, tuple(Role), is_first=True)

    async def set_email(self, name: str, email: str) -> bool:
        return await self._people.set_email(await self._known(name), email)

    async def set_active(self, name: str, active: bool) -> bool:
        """Who is not active has no rights: their sessions end, and their keys rest until they are active again."""
        return await self._people.set_active(await self._known(name), active)

    async def grant(self, name: str, tenant: str, role: Role) -> bool:
        return await self._people.give(await self._known(name), tenant, role)

    async def revoke(self, name: str, tenant: str, role: Role) -> bool:
        return await self._people.take(await self._known(name), tenant, role)

    async def join(self, name: str, tenant: str, group: str) -> bool:
        return await self._people.join(await self._known(name), tenant, group)

    async def leave(self, name: str, tenant: str, group: str) -> bool:
        return await self._people.leave(await self._known(name), tenant, group)

    async def addresses(self, tenant: str, asked: tuple[str, ...]) -> list[str]:
        """The e-mail addresses of the active people who may approve for `tenant` and are meant by `asked`."""
        people = await self._people.everybody(tenant)
        meant = (person for person in people if person.may_approve(tenant) and person.is_asked(tenant, asked))
        return sorted({person.email for person in meant if person.email})

    # --- passwords --------------------------------------------------------------------------------------------------

    async def set_password(self, name: str, password: str) -> None:
        """Ends the person's sessions, and their wait after failed sign-ins. Raises `InvalidRequest` with the rule."""
        person = await self._people.get(name)
        if person is None:
            raise no_such(name)
        check_password(password, person.name, person.email)
        await self._people.set_password(person.name, await self._passwords.hash(password))
        await self._throttle.forget(person.name)

    async def sign_in(self, name: str, password: str) -> Person:
        """Who that is. Takes as long for a name that nobody has.

        Raises `NotSignedIn`, and `TooManyRequests` after failures in a row, with the seconds to wait.
        """
        await self._throttle.enter(name)
        hashed = await self._people.password_of(name)
        if not await self._passwords.is_right(password, hashed) or hashed is None:
            raise _wrong()
        person = await self._people.get(name)
        if person is None or not person.is_active:
            raise _wrong()
        await self._throttle.forget(name)
        if self._passwords.is_outdated(hashed):
            await self._people.replace_hash(name, hashed, await self._passwords.hash(password))
        return person

    # --- OpenID Connect ---------------------------------------------------------------------------------------------

    async def by_subject(self, issuer: str, subject: str) -> Person | None:
        """Who is active, and `subject` at `issuer`."""
        return await self._people.by_subject(issuer, subject)

    async def by_email(self, email: str) -> Person | None:
        """Who is active and has that address; None when several have it. It must have been verified."""
        return await self._people.by_email(email)

    async def is_linked(self, name: str, issuer: str) -> bool:
        """Whether that person is known at `issuer`, under whatever subject."""
        return await self._people.is_linked(name, issuer)

    async def link(self, name: str, issuer: str, subject: str) -> bool:
        """Makes `subject` at `issuer` that person: one subject for each person and issuer.

        Raises `InvalidRequest` when either is linked otherwise.
        """
        return await self._people.link(await self._known(name), issuer, subject)

    # --- API keys ---------------------------------------------------------------------------------------------------

    async def make_key(self, name: str, label: str, days: int | None = None) -> str:
        """A new key of an active person, for so many days or until it is revoked; it can't be shown again."""
        return await self._keys.make(await self._known(name), label, days)

    async def keys(self, name: str) -> list[KeyInfo]:
        """The keys of a person, newest first, those that no longer work included."""
        return await self._keys.of(await self._known(name))

    async def revoke_key(self, name: str, key_id: str) -> bool:
        return await self._keys.revoke(await self._known(name), key_id)

    async def by_key(self, key: str) -> Person:
        """Whose key that is. Raises `NotSignedIn` when it is unknown, revoked or expired, or they are not active."""
        owner = await self._keys.owner(key)
        person = await self._people.get(owner) if owner else None
        if person is None or not person.is_active:
            raise NotSignedIn("that API key does not work: it is unknown, revoked or expired, or its user not active")
        return person

    # --- sessions ---------------------------------------------------------------------------------------------------

    async def open_session(self, name: str, *, idle: timedelta, longest: timedelta) -> Session:
        """A new session, which ends when unused for `idle`, and after `longest` in any case.

        Raises `NotSignedIn` unless somebody active has that name.
        """
        token, opened = await self._sessions.open(name, idle, longest)
        person = await self._people.get(name)
        if person is None:
            raise _wrong()
        return opened.of(person, token)

    async def session(self, token: str, *, is_used: bool = True) -> Session | None:
        """The session of that token, with the rights that hold now; None when it has ended.

        `is_used` False is for what a page asks by itself, which keeps no session from ending.
        """
        opened = await self._sessions.get(token, is_used=is_used)
        person = await self._people.get(opened.name) if opened else None
        return opened.of(person, token) if opened and person and person.is_active else None

    async def close_session(self, token: str) -> None:
        await self._sessions.close(token)

    async def close_sessions(self, name: str) -> None:
        await self._sessions.close_all(name)

    # --- all --------------------------------------------------------------------------------------------------------

    async def _add(
        self, name: str, email: str, password: str | None, roles: tuple[Role, ...], *, is_first: bool
    ) -> Person:
        name, hashed = check_user(name), None
        if password is not None:
            check_password(password, name, check_email(email))
            hashed = await self._passwords.hash(password)
        await self._people.add(name, email=email, password=hashed, roles=roles, is_first=is_first)
        person = await self._people.get(name)
        if person is None:
            raise InvalidRequest(f"{name!r} is gone already; add it again")
        return person

    async def _known(self, name: str) -> str:
        person = await self._people.get(name)
        if person is None:
            raise no_such(name)
        return person.name


def _wrong() -> NotSignedIn:
    return NotSignedIn("the name or the password is wrong")
