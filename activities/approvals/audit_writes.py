"""How lines get into the audit log: one writer a tenant at a time, each line on the hash of the one before it."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.approvals.audit_entries import went_on
from activities.approvals.audit_tables import AUDIT, EVERYONE, HEADS, lock
from activities.approvals.chain import FIRST, Seals, tenants_hash
from activities.storage.database import Inserts

# Beyond it there is no room to go on; a damaged table may hold any number, and in SQLite even text, which is greater.
_MOST_LINES: Final = 2**62
_AT_ONCE: Final = 500

Line = dict[str, Any]


class AuditWrites:
    """Writes lines in a transaction of the caller's."""

    def __init__(self, inserts: Inserts, seals: Seals) -> None:
        self._insert = inserts
        self._seals = seals

    async def write(self, connection: AsyncConnection, lines: Sequence[Line]) -> None:
        """Adds those of `lines` whose event is not there yet."""
        by_tenant: dict[str, list[Line]] = {}
        for line in lines:
            by_tenant.setdefault(line["tenant"], []).append(line)
        # Always in the same order, so that two who write never wait for each other.
        await lock(connection, sorted(by_tenant))
        heads = await _heads(connection, sorted(by_tenant))
        new = [tenant for tenant in by_tenant if tenant not in heads]
        are_tenants_right = not new or await self._add_tenants(connection, new)
        for tenant, of_tenant in by_tenant.items():
            is_suspect = tenant in new and not are_tenants_right
            await self._extend(connection, tenant, of_tenant, heads.get(tenant), is_suspect=is_suspect)

    async def _extend(
        self,
        connection: AsyncConnection,
        tenant: str,
        lines: list[Line],
        head: RowMapping | None,
        *,
        is_suspect: bool,
    ) -> None:
        fresh = await _fresh(connection, tenant, lines)
        if not fresh:
            return
        number, digest, is_right = await self._end(connection, tenant, head)
        if is_suspect or not is_right:
            # Nobody's decision is lost for it; and what was done must not be covered up by a new head.
            fresh = [went_on(tenant), *fresh]
        sealed = []
        for line in fresh:
            number += 1
            sealed.append(self._seals.seal({**line, "number": number, "previous": digest}))
            digest = sealed[-1]["hash"]
        await connection.execute(insert(AUDIT), sealed)
        mac = self._seals.mac("head", tenant, number, digest)
        await self._put_head(connection, {"tenant": tenant, "count": number, "hash": digest, "mac": mac})

    async def _end(self, connection: AsyncConnection, tenant: str, head: RowMapping | None) -> tuple[int, str, bool]:
        """The number and hash to go on from, and whether they are what was written there."""
        query = select(AUDIT.c.number, AUDIT.c.hash).where(AUDIT.c.tenant == tenant, AUDIT.c.number < _MOST_LINES)
        last = (await connection.execute(query.order_by(AUDIT.c.number.desc()).limit(1))).first()
        end = (last.number, last.hash) if last else (0, FIRST)
        if head is None:
            return *end, last is None
        is_right = self._seals.is_right(head["mac"], "head", tenant, head["count"], head["hash"])
        said = (head["count"], head["hash"])
        # Where the tail is gone, its numbers are not given out again.
        return *(said if is_right and said[0] > end[0] else end), is_right and said == end

    async def _add_tenants(self, connection: AsyncConnection, new: list[str]) -> bool:
        """Adds `new` to the record of tenants, and says whether that was what was written."""
        await lock(connection, [EVERYONE])
        known = list((await connection.execute(select(HEADS.c.tenant).where(HEADS.c.tenant != EVERYONE))).scalars())
        root = (await _heads(connection, [EVERYONE])).get(EVERYONE)
        is_right = is_root_right(self._seals, root, known)
        digest, count = tenants_hash([*known, *new]), len(known) + len(new)
        mac = self._seals.mac("tenants", count, digest)
        await self._put_head(connection, {"tenant": EVERYONE, "count": count, "hash": digest, "mac": mac})
        return is_right

    async def _put_head(self, connection: AsyncConnection, head: dict[str, Any]) -> None:
        statement = self._insert(HEADS)
        new = {name: statement.excluded[name] for name in ("count", "hash", "mac")}
        await connection.execute(statement.on_conflict_do_update(index_elements=[HEADS.c.tenant], set_=new), head)


def is_root_right(seals: Seals, root: RowMapping | None, tenants: Sequence[str]) -> bool:
    """Whether `root`, the record of tenants, is what was written and names exactly `tenants`."""
    if root is None:
        return not tenants
    is_sealed = seals.is_right(root["mac"], "tenants", root["count"], root["hash"])
    return bool(is_sealed and root["hash"] == tenants_hash(list(tenants)))


async def _heads(connection: AsyncConnection, tenants: Sequence[str]) -> dict[str, RowMapping]:
    found = await connection.execute(select(HEADS).where(HEADS.c.tenant.in_(tenants)))
    return {row["tenant"]: row for row in found.mappings()}


async def _fresh(connection: AsyncConnection, tenant: str, lines: list[Line]) -> list[Line]:
    """Those of `lines` whose event is not in the log, each once."""
    by_event = {line["event_id"]: line for line in reversed(lines)}
    events = list(by_event)
    known: set[str] = set()
    for start in range(0, len(events), _AT_ONCE):
        wanted = AUDIT.c.event_id.in_(events[start : start + _AT_ONCE])
        found = await connection.execute(select(AUDIT.c.event_id).where(AUDIT.c.tenant == tenant, wanted))
        known.update(found.scalars())
    return [line for line in lines if line is by_event[line["event_id"]] and line["event_id"] not in known]
