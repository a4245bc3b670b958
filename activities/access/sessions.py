"""Sessions of people in a browser: random tokens, kept as hashes, that end when unused, and in any case."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, delete, select, update

from activities.access.clock import Clock
from activities.access.naming import as_kept
from activities.access.tables import PEOPLE, SESSIONS
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import NotSignedIn
from engross.people import Person

_TOKEN_BYTES: Final = 32
_TOUCHED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in. `token` goes into the cookie, `csrf` into forms; `ends_at` (UTC) is its last moment,
    however much it is used."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    person: Person
    opened_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Opened:
    """A session as its row has it."""

    name: str
    csrf: str
    opened_at: datetime
    ends_at: datetime

    def of(self, person: Person, token: str) -> Session:
        """The session for who holds its token."""
        return Session(token, self.csrf, person, self.opened_at, self.ends_at)


class Sessions:
    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def open(self, name: str, idle: timedelta, longest: timedelta) -> tuple[str, Opened]:
        """A new session and its token. Raises `NotSignedIn` unless somebody active has that name."""
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._now()
        opened = Opened(as_kept(name), secrets.token_urlsafe(_TOKEN_BYTES), now, now + longest)
        row = {
            "sha256": _hash(token),
            "name": opened.name,
            "csrf": opened.csrf,
            "opened_at": stamp(now),
            "seen_at": stamp(now),
            "ends_at": stamp(opened.ends_at),
            "idle_seconds": idle.total_seconds(),
        }
        active = update(PEOPLE).where(PEOPLE.c.name == opened.name, PEOPLE.c.is_active)
        # By itself, so that no two wait for each other's rows.
        await self._delete(SESSIONS.c.ends_at <= stamp(now))
        async with self._database.writing() as connection:
            # First, as it locks the person: who is deactivated or gets a new password at this moment keeps no session.
            if not (await connection.execute(active.values(signed_in_at=stamp(now)))).rowcount:
                raise NotSignedIn("nobody who is active has that name")
            await connection.execute(self._database.insert(SESSIONS).values(row))
        return token, opened

    async def get(self, token: str, *, is_used: bool) -> Opened | None:
        """The session of that token while it lasts; notes whether it `is_used`. None when it has ended."""
        mine = SESSIONS.c.sha256 == _hash(token)
        found = await self._database.fetch(select(SESSIONS).where(mine))
        if not found:
            return None
        row, now = found[0], self._now()
        opened_at, ends_at, seen_at = (
            datetime.fromisoformat(row[name]) for name in ("opened_at", "ends_at", "seen_at")
        )
        idle = timedelta(seconds=row["idle_seconds"])
        if now >= ends_at or now - seen_at >= idle:
            await self._delete(mine)
            return None
        # Seldom, as it is a write; yet so often that a short idle time is counted from about the last use.
        if is_used and now - seen_at >= min(_TOUCHED_EVERY, idle / 10):
            await self._touch(row, now)
        return Opened(row["name"], row["csrf"], opened_at, ends_at)

    async def close(self, token: str) -> None:
        await self._delete(SESSIONS.c.sha256 == _hash(token))

    async def close_all(self, name: str) -> None:
        await self._delete(SESSIONS.c.name == as_kept(name))

    async def _touch(self, row: RowMapping, now: datetime) -> None:
        later = update(SESSIONS).where(SESSIONS.c.sha256 == row["sha256"], SESSIONS.c.seen_at < stamp(now))
        async with self._database.writing() as connection:
            await connection.execute(later.values(seen_at=stamp(now)))

    async def _delete(self, which: ColumnElement[bool]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(SESSIONS).where(which))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
