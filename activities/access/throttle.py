"""Failed sign-ins: whoever fails again and again has to wait longer and longer, and is never locked out for good."""

import hashlib
import math
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from activities.access.clock import Clock
from activities.access.tables import FAILURES
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import TooManyRequests

FREE_FAILURES: Final = 5
LONGEST_WAIT: Final = timedelta(minutes=5)
_FIRST_WAIT: Final = timedelta(seconds=1)
_FORGOTTEN_AFTER: Final = timedelta(days=1)


class Throttle:
    """Counts failures in a row, whether somebody of that name exists or not. A day without one ends the row."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def enter(self, name: str) -> None:
        """Counts a try as failed until `forget` says otherwise: many at once gain nothing.

        Raises `TooManyRequests` when it is too early for another one, which is not counted.
        """
        key, now = _key(name), self._now()
        new = {"name_sha256": key, "failures": 1, "last_at": stamp(now), "again_at": stamp(now)}
        counted = self._database.insert(FAILURES).values(new)
        counted = counted.on_conflict_do_update(
            index_elements=[FAILURES.c.name_sha256],
            set_={"failures": FAILURES.c.failures + 1, "last_at": stamp(now)},
            where=FAILURES.c.again_at <= stamp(now),
        )
        # By itself, so that no two wait for each other's rows.
        async with self._database.writing() as connection:
            await connection.execute(delete(FAILURES).where(FAILURES.c.last_at < stamp(now - _FORGOTTEN_AFTER)))
        async with self._database.writing() as connection:
            failures = (await connection.execute(counted.returning(FAILURES.c.failures))).scalar_one_or_none()
            if failures is None:
                until = await connection.scalar(select(FAILURES.c.again_at).where(FAILURES.c.name_sha256 == key))
                raise _too_early(until, now)
            later = {"again_at": stamp(now + wait_after(failures))}
            await connection.execute(update(FAILURES).where(FAILURES.c.name_sha256 == key).values(later))

    async def forget(self, name: str) -> None:
        """Ends the row of failures."""
        async with self._database.writing() as connection:
            await connection.execute(delete(FAILURES).where(FAILURES.c.name_sha256 == _key(name)))


def wait_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: nothing, then 1 s, doubled each time up to 5 minutes."""
    if failures < FREE_FAILURES:
        return timedelta()
    doublings = min(failures - FREE_FAILURES, 20)
    return min(_FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def _too_early(until: str | None, now: datetime) -> TooManyRequests:
    left = (datetime.fromisoformat(until) - now).total_seconds() if until else 0.0
    seconds = max(left, 0.0)
    return TooManyRequests(f"too many failed sign-ins; try again in {math.ceil(seconds)} s", seconds)


def _key(name: str) -> str:
    return hashlib.sha256(name.lower().encode("utf-8", "surrogatepass")).hexdigest()
