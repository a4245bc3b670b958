"""API keys: `eg_<id>_<secret>`, shown once and kept as a hash. 256 random bits need no slow one."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from sqlalchemy import RowMapping, exists, or_, select, update

from activities.access.clock import Clock, time_of
from activities.access.naming import as_kept, check_label
from activities.access.tables import KEYS, PEOPLE
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import InvalidRequest

MOST_DAYS: Final = 3650

_KEY: Final = re.compile(r"eg_([0-9a-f]{8})_[A-Za-z0-9_-]{43}", re.ASCII)
_TOUCHED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class KeyInfo:
    """What may be known of a key. Times are UTC; `used_at` is exact to a minute."""

    key_id: str
    name: str
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    def works_at(self, time: datetime) -> bool:
        """Whether it is neither revoked nor expired then."""
        return self.revoked_at is None and (self.expires_at is None or time < self.expires_at)


class Keys:
    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def make(self, name: str, label: str, days: int | None) -> str:
        """A new key. Raises `InvalidRequest` when nobody active has that name."""
        if days is not None and not 0 < days <= MOST_DAYS:
            raise InvalidRequest(f"a key holds for 1 to {MOST_DAYS} days")
        now = self._now()
        row = {
            "name": as_kept(name),
            "label": check_label(label),
            "created_at": stamp(now),
            "expires_at": None if days is None else stamp(now + timedelta(days=days)),
        }
        while True:
            key = f"eg_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
            if await self._insert({**row, "key_id": key[3:11], "sha256": _hash(key)}):
                return key

    async def of(self, name: str) -> list[KeyInfo]:
        """The keys of a person, newest first, those that no longer work included."""
        query = select(KEYS).where(KEYS.c.name == as_kept(name)).order_by(KEYS.c.created_at.desc(), KEYS.c.key_id)
        return [_info(row) for row in await self._database.fetch(query)]

    async def revoke(self, name: str, key_id: str) -> bool:
        """False when it was revoked before. Raises `InvalidRequest` when the person has no such key."""
        mine = (KEYS.c.name == as_kept(name), KEYS.c.key_id == key_id)
        if key_id not in {key.key_id for key in await self.of(name)}:
            raise InvalidRequest(f"{name!r} has no key of that id; `engross users keys` lists them")
        gone = update(KEYS).where(*mine, KEYS.c.revoked_at.is_(None)).values(revoked_at=stamp(self._now()))
        async with self._database.writing() as connection:
            return bool((await connection.execute(gone)).rowcount)

    async def owner(self, key: str) -> str | None:
        """The name of the person whose key this is, while it works; notes at most once a minute that it is used."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        found = await self._database.fetch(select(KEYS).where(KEYS.c.key_id == parts[1]))
        if not found or not compare_digest(found[0]["sha256"], _hash(key)):
            return None
        info = _info(found[0])
        if not info.works_at(self._now()):
            return None
        await self._touch(info)
        return info.name

    async def _insert(self, row: dict[str, Any]) -> bool:
        added = self._database.insert(KEYS).values(row).on_conflict_do_nothing()
        async with self._database.writing() as connection:
            is_new = (await connection.execute(added.returning(KEYS.c.key_id))).first() is not None
            query = select(exists().where(PEOPLE.c.name == row["name"], PEOPLE.c.is_active))
            if not await connection.scalar(query):
                raise InvalidRequest(f"nobody who is active is called {row['name']!r}; `engross users list` shows all")
            return is_new

    async def _touch(self, info: KeyInfo) -> None:
        now = self._now()
        if info.used_at is not None and now - info.used_at < _TOUCHED_EVERY:
            return
        earlier = or_(KEYS.c.used_at.is_(None), KEYS.c.used_at < stamp(now))
        async with self._database.writing() as connection:
            touched = update(KEYS).where(KEYS.c.key_id == info.key_id, earlier)
            await connection.execute(touched.values(used_at=stamp(now)))


def key_id_of(key: str) -> str:
    """The id in a key that was just made."""
    return key.split("_")[1]


def _info(row: RowMapping) -> KeyInfo:
    return KeyInfo(
        key_id=row["key_id"],
        name=row["name"],
        label=row["label"],
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=time_of(row["expires_at"]),
        used_at=time_of(row["used_at"]),
        revoked_at=time_of(row["revoked_at"]),
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
