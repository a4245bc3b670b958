"""Erasing a tenant: its keys, its runs, and what is stored of it, in an order in which a repeat completes it.

The keys go first: from then on nothing new of the tenant is kept, and what a crash leaves behind is unreadable. Steps
that are under way know the keys a minute more, so that the stores are swept again afterwards.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from activities.approvals.audit import AuditEntry
from activities.encryption.keys import TenantKeys
from engross.errors import InvalidRequest, TenantErased
from engross.names import is_name
from starters.erase_runs import Histories, TenantRuns
from starters.erase_stores import TenantStore

SETTLE_SECONDS: Final = 61.0
"""How long workers may know a key that is destroyed, and a moment."""

SCHEDULES: Final = "schedules"
BEGUN: Final = "tenant.erasing"
ENDED: Final = "tenant.erased"
_SOURCE: Final = "command"


class Log(Protocol):
    """The audit log."""

    async def append(self, entries: Sequence[AuditEntry]) -> None: ...


@dataclass(frozen=True)
class Manner:
    """`histories`: those in Temporal are deleted too. `settle_seconds`: after the keys, until the last sweep."""

    histories: bool = False
    settle_seconds: float = SETTLE_SECONDS
    actor: str = "engross"


@dataclass(frozen=True)
class Erased:
    """What was destroyed and deleted, by kind, what was found afterwards, and what Temporal keeps.

    `is_encrypted` says whether the installation encrypts, so that copies elsewhere are unreadable as well.
    """

    tenant: str
    is_encrypted: bool
    keys: int = 0
    terminated: int = 0
    deleted_histories: int = 0
    deleted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    histories: Histories = field(default_factory=Histories)

    @property
    def is_complete(self) -> bool:
        """Whether nothing was found of it, and nothing that can be read is left in Temporal."""
        return not self.found.total() and not self.histories.clear


@dataclass(frozen=True)
class Eraser:
    """What it works with. `keys` is None where the installation does not encrypt; `tell` hears what is under way."""

    keys: TenantKeys | None
    runs: TenantRuns
    stores: Sequence[TenantStore]
    log: Log
    tell: Callable[[str], None]

    async def erase(self, tenant: str, manner: Manner) -> Erased:
        """Erases `tenant`; safe to repeat. Raises `InvalidRequest` with the rule, and what its stores raise."""
        self.check(tenant, manner)
        await self._record(tenant, manner, BEGUN, "")
        keys = await self._destroy(tenant)
        terminated, deleted, histories = await self._sweep(tenant, manner)
        await self._settle(manner.settle_seconds)
        again, later, more = await self._sweep(tenant, manner)
        erased = Erased(
            tenant=tenant,
            is_encrypted=self.keys is not None,
            keys=keys,
            terminated=terminated + again,
            deleted_histories=histories + more,
            deleted=deleted + later,
            found=await self._found(tenant),
            histories=await self.runs.histories(tenant),
        )
        await self._record(tenant, manner, ENDED, _counts(erased))
        return erased

    def check(self, tenant: str, manner: Manner) -> None:
        """Raises `InvalidRequest` for what is no tenant, and where the histories would stay readable."""
        if not is_name(tenant):
            raise InvalidRequest(f"{tenant!r} is no name of a tenant")
        if self.keys is None and not manner.histories:
            raise InvalidRequest(
                "encryption is off, so the histories in Temporal would stay readable: add --histories to delete them"
            )

    async def _destroy(self, tenant: str) -> int:
        if self.keys is None:
            return 0
        self.tell("destroying the keys")
        return await self.keys.destroy(tenant)

    async def _sweep(self, tenant: str, manner: Manner) -> tuple[int, Counter[str], int]:
        """How many runs were ended, what was deleted, and how many histories."""
        self.tell("ending runs")
        deleted = Counter({SCHEDULES: await self.runs.unschedule(tenant)})
        terminated = await self.runs.terminate(tenant)
        self.tell("deleting what is stored")
        for store in self.stores:
            deleted.update(await store.delete(tenant))
        if not manner.histories:
            return terminated, deleted, 0
        self.tell("deleting histories")
        return terminated, deleted, await self.runs.delete(tenant)

    async def _settle(self, seconds: float) -> None:
        if seconds > 0:
            self.tell(f"waiting {seconds:.0f} s: steps under way have to end, and workers to forget the keys")
            await asyncio.sleep(seconds)

    async def _found(self, tenant: str) -> Counter[str]:
        """What is there of it now; nothing, if all went well."""
        self.tell("checking")
        found = Counter({"open runs": await self.runs.open(tenant)})
        for store in self.stores:
            found.update(await store.count(tenant))
        if self.keys is not None:
            found["keys"] = await self._usable_keys(self.keys, tenant)
        return +found

    async def _usable_keys(self, keys: TenantKeys, tenant: str) -> int:
        try:
            await keys.current(tenant)
        except TenantErased:
            return 0
        return 1

    async def _record(self, tenant: str, manner: Manner, action: str, detail: str) -> None:
        at = datetime.now(UTC)
        entry = AuditEntry(
            tenant=tenant, at=at, actor=manner.actor, action=action, subject=tenant, source=_SOURCE, detail=detail
        )
        await self.log.append([entry])


def _counts(erased: Erased) -> str:
    parts = {"keys": erased.keys, "runs ended": erased.terminated, "histories": erased.deleted_histories}
    told = ", ".join(f"{name} {count}" for name, count in {**parts, **erased.deleted}.items())
    return f"{'complete' if erased.is_complete else 'incomplete'}: {told}"
