"""The data keys of tenants: made at first use, kept in the result store's database wrapped by master keys."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.encryption.tables import TENANT_KEYS, KeyRow, KeyState, row_of
from activities.encryption.wrapping import DataKey, Masters, Ring
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.errors import InvalidRequest, KeyUnavailable, TenantErased
from engross.keyring import parse_keys
from engross.names import is_name
from engross.settings import Settings

__all__ = ["INSTALLATION", "DataKey", "KeyRow", "KeyState", "TenantKeys"]

INSTALLATION: Final = "_installation"
"""Whose key encrypts what belongs to no tenant. No tenant can have this name."""

_KNOWN_SECONDS: Final = 60.0
_MOST_KNOWN: Final = 10_000
_C: Final = TENANT_KEYS.c
_KEY: Final = ("tenant", "number")


class TenantKeys:
    """The data keys in the database at `url`, wrapped by `masters`: by id, the first one for what is new.

    Keys are known for 60 seconds, so a key that is destroyed is forgotten everywhere within that time. The database is
    open during a lookup only, and there is nothing to close. For any number of event loops, one after the other or in
    threads of their own. Methods raise `ServiceUnavailable` when the database does not answer, `InvalidRequest` for a
    tenant that is no name.
    """

    def __init__(self, masters: Mapping[str, bytes], url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._masters = Masters(masters)
        self._url = url
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Ring]] = OrderedDict()
        self._lookups: dict[tuple[asyncio.AbstractEventLoop, str, bool], asyncio.Task[Ring]] = {}
        self._has_table = False

    @classmethod
    def of(cls, settings: Settings) -> "TenantKeys | None":
        """The keys of an installation; None when it does not encrypt."""
        keys = settings.encryption_keys
        return None if keys is None else cls(parse_keys(keys.get_secret_value()), settings.results_url)

    async def current(self, tenant: str) -> DataKey:
        """The key that encrypts for `tenant`, made when there is none. Raises `TenantErased`, `KeyUnavailable`."""
        return (self._fresh(tenant) or await self._look(tenant, make=True)).current()

    async def get(self, tenant: str, number: int) -> DataKey:
        """The key of that number. Raises `TenantErased`, and `KeyUnavailable` when it can't be had."""
        ring = self._fresh(tenant)
        # Another process may have made it since.
        if ring is None or number not in ring.rows:
            ring = await self._look(tenant, make=False)
        return ring.key(number)

    async def rotate(self, tenant: str) -> int:
        """Makes a key that encrypts from now on, and gives its number; the others still read.

        Other processes go on with the one before for up to a minute. Raises `TenantErased`.
        """
        async with self._database() as database, database.writing() as connection:
            rows = await _rows(connection, _checked(tenant))
            if any(row.state is KeyState.DESTROYED for row in rows):
                raise TenantErased(f"tenant {tenant} was erased; its keys are destroyed")
            number = max((row.number for row in rows), default=0) + 1
            # Before the others are retired: at the same moment somebody else may do the same, and one of us is enough.
            await self._insert(database, connection, tenant, number)
            older = (_C.tenant == tenant) & (_C.number < number) & (_C.state == KeyState.ACTIVE)
            await connection.execute(update(TENANT_KEYS).where(older).values(state=KeyState.RETIRED))
        self._known.pop(tenant, None)
        return number

    async def rewrap(self) -> int:
        """Wraps all data keys by the first master key, and gives how many were not before.

        Changes nothing and raises `KeyUnavailable` when the master key of any is missing.
        """
        wanted = _C.wrapped.is_not(None) & (_C.master_id != self._masters.first)
        changed = 0
        async with self._database() as database:
            rows = [row_of(row) for row in await database.fetch(select(TENANT_KEYS).where(wanted))]
            wrapped = [(row, self._masters.rewrapped(row)) for row in rows]
            async with database.writing() as connection:
                for row, new in wrapped:
                    # As it was read: a key that is destroyed meanwhile must not come back.
                    same = (_C.tenant == row.tenant) & (_C.number == row.number)
                    same &= _C.wrapped == row.wrapped
                    values = {"master_id": self._masters.first, "wrapped": new}
                    changed += (await connection.execute(update(TENANT_KEYS).where(same).values(values))).rowcount
        self._known.clear()
        return changed

    async def destroy(self, tenant: str) -> int:
        """Destroys the keys of `tenant` for good, and gives how many; from then on its name is refused.

        Other processes may know the keys for up to a minute more.
        """
        if not is_name(tenant):
            raise InvalidRequest("only the keys of a tenant can be destroyed")
        gone = {"wrapped": None, "state": KeyState.DESTROYED}
        async with self._database() as database, database.writing() as connection:
            alive = (_C.tenant == tenant) & (_C.state != KeyState.DESTROYED)
            destroyed = (await connection.execute(update(TENANT_KEYS).where(alive).values(gone))).rowcount
            tombstone = database.insert(TENANT_KEYS).values(**self._row(tenant, 1), **gone)
            # Also over a key that somebody has made since the update.
            await connection.execute(tombstone.on_conflict_do_update(index_elements=_KEY, set_=gone))
        self._known.pop(tenant, None)
        return destroyed

    async def listed(self) -> Sequence[KeyRow]:
        """All keys by tenant and number, destroyed ones included."""
        query = select(TENANT_KEYS).order_by(_C.tenant, _C.number)
        async with self._database() as database:
            return [row_of({**row, "wrapped": None}) for row in await database.fetch(query)]

    # --- what is known ----------------------------------------------------------------------------------------------

    def _fresh(self, tenant: str) -> Ring | None:
        found = self._known.get(tenant)
        return found[1] if found is not None and self._clock() - found[0] < _KNOWN_SECONDS else None

    async def _look(self, tenant: str, *, make: bool) -> Ring:
        """The keys as they are now. Who asks while somebody of the same loop does gets the same answer."""
        loop = asyncio.get_running_loop()
        which = (loop, _checked(tenant), make)
        task = self._lookups.get(which)
        if task is None:
            task = self._lookups[which] = loop.create_task(self._look_up(tenant, make))
            task.add_done_callback(lambda done: self._looked_up(which, done))
        # One who is cancelled leaves the others their answer.
        return await asyncio.shield(task)

    def _looked_up(self, which: tuple[asyncio.AbstractEventLoop, str, bool], done: asyncio.Task[Ring]) -> None:
        del self._lookups[which]
        if not done.cancelled():
            done.exception()  # retrieved, also when nobody waits for it any more

    async def _look_up(self, tenant: str, make: bool) -> Ring:
        at = self._clock()
        async with self._database() as database:
            async with database.reading() as connection:
                rows = await _rows(connection, tenant)
            if not rows and make:
                async with database.writing() as connection:
                    await self._insert(database, connection, tenant, 1)
                async with database.reading() as connection:
                    rows = await _rows(connection, tenant)
        if not rows:
            raise KeyUnavailable(f"tenant {tenant} has no data key in the result store: restore its table tenant_keys")
        ring = Ring.of(rows, self._masters)
        self._known[tenant] = (at, ring)
        self._known.move_to_end(tenant)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return ring

    # --- the database -----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        database = Database.open(self._url)
        try:
            if not self._has_table:
                await database.create((TENANT_KEYS,), ())
                self._has_table = True
            yield database
        finally:
            await database.close()

    def _row(self, tenant: str, number: int) -> dict[str, Any]:
        made_at = stamp(datetime.now(UTC))
        return {"tenant": tenant, "number": number, "master_id": self._masters.first, "made_at": made_at}

    async def _insert(self, database: Database, connection: AsyncConnection, tenant: str, number: int) -> None:
        """Adds a new key, unless there is one of that number."""
        wrapped = self._masters.made(tenant, number)
        row = database.insert(TENANT_KEYS).values(**self._row(tenant, number), wrapped=wrapped, state=KeyState.ACTIVE)
        await connection.execute(row.on_conflict_do_nothing(index_elements=_KEY))


async def _rows(connection: AsyncConnection, tenant: str) -> list[KeyRow]:
    found = await connection.execute(select(TENANT_KEYS).where(_C.tenant == tenant))
    return [row_of(row) for row in found.mappings()]


def _checked(tenant: str) -> str:
    if not is_name(tenant) and tenant != INSTALLATION:
        raise InvalidRequest('a tenant must be lower-case letters, digits, "-" and "_", 63 at most')
    return tenant
