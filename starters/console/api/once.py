"""Requests that are sent again are answered as the first time: what `Idempotency-Key` stood for, for a day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Column, Index, MetaData, Table, Text, delete, select, update

from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import NotAcceptable

KEPT: Final = timedelta(hours=24)

_REQUESTS: Final = Table(
    "api_requests",
    MetaData(),
    Column("person", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text),
    Column("at", Text, nullable=False),
)
_INDEXES: Final = (Index("api_requests_at", _REQUESTS.c.at),)


class Requests:
    """The requests of the last day that had a key, each of one person: two may use the same key.

    Every method raises `ServiceUnavailable` when the database does not answer.
    """

    def __init__(self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create((_REQUESTS,), _INDEXES)

    async def begin(self, person: str, key: str, fingerprint: str) -> str | None:
        """What the request was answered; None when it was not yet, so that it is to be done now.

        `fingerprint` is a hash of all that it asks. Raises `NotAcceptable` when the key stood for something else.
        """
        now = self._now()
        row = {"person": person, "key": key, "fingerprint": fingerprint, "at": stamp(now)}
        mine = (_REQUESTS.c.person == person, _REQUESTS.c.key == key)
        async with self._database.writing() as connection:
            await connection.execute(delete(_REQUESTS).where(_REQUESTS.c.at < stamp(now - KEPT)))
            await connection.execute(self._database.insert(_REQUESTS).values(row).on_conflict_do_nothing())
            found = (await connection.execute(select(_REQUESTS).where(*mine))).mappings().one()
        if found["fingerprint"] != fingerprint:
            raise NotAcceptable("this Idempotency-Key has served another request; use a new one")
        answer: str | None = found["answer"]
        return answer

    async def end(self, person: str, key: str, answer: str) -> None:
        """Keeps what it was answered, unless something is kept already."""
        mine = (_REQUESTS.c.person == person, _REQUESTS.c.key == key, _REQUESTS.c.answer.is_(None))
        async with self._database.writing() as connection:
            await connection.execute(update(_REQUESTS).where(*mine).values(answer=answer))
