"""Looks through the whole audit log for what is wrong with it, page by page, while others may write."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from sqlalchemy import Select, and_, or_, select, union

from activities.approvals.audit_tables import AUDIT, EVERYONE, HEADS, fields_of
from activities.approvals.audit_writes import is_root_right
from activities.approvals.chain import MOST_FINDINGS, Fields, Finding, Flaw, Head, Seals, Walk
from activities.storage.database import Database

_PAGE: Final = 500
# A line of an export is looked up by two values; databases bound how many a statement may have.
_AT_ONCE: Final = 200


async def verify_log(database: Database, seals: Seals, tenant: str | None) -> list[Finding]:
    """What is wrong with the log of `tenant`, or with all logs and the record of whose there are."""
    if tenant is not None:
        return await _verify_tenant(database, seals, tenant)
    findings: list[Finding] = []
    for each in await _tenants(database):
        findings += await _verify_tenant(database, seals, each)
    return findings + await _verify_record(database, seals)


async def differences(database: Database, lines: Iterable[Fields]) -> list[Finding]:
    """Lines of an export that the log does not have, or has otherwise. The hash of a line covers all of it."""
    findings: list[Finding] = []
    rest = iter(lines)
    while (page := list(islice(rest, _AT_ONCE))) and len(findings) < MOST_FINDINGS:
        wanted = {(str(line["tenant"]), int(line["number"])): line["hash"] for line in page}
        query = select(AUDIT.c.tenant, AUDIT.c.number, AUDIT.c.hash).where(
            or_(*(and_(AUDIT.c.tenant == tenant, AUDIT.c.number == number) for tenant, number in wanted))
        )
        found = {(row["tenant"], row["number"]): row["hash"] for row in await database.fetch(query)}
        for place, digest in wanted.items():
            if found.get(place) != digest:
                findings.append(Finding(*place, Flaw.DIFFERS if place in found else Flaw.MISSING))
    return findings


async def _tenants(database: Database) -> list[str]:
    """Everybody who has lines or a head."""
    both = union(select(AUDIT.c.tenant), select(HEADS.c.tenant).where(HEADS.c.tenant != EVERYONE)).subquery()
    return [row["tenant"] for row in await database.fetch(select(both.c.tenant).order_by(both.c.tenant))]


async def _verify_tenant(database: Database, seals: Seals, tenant: str) -> list[Finding]:
    walk = Walk(tenant, seals)
    query: Select[Any] = select(AUDIT).where(AUDIT.c.tenant == tenant).order_by(AUDIT.c.number).limit(_PAGE)
    page = query
    head: Head | None = None
    while not walk.is_given_up:
        found = await database.fetch(page)
        for row in found:
            walk.see(fields_of(row))
        if found:
            page = query.where(AUDIT.c.number > found[-1]["number"])
            continue
        # Lines may have come since this page: those that the head tells of have to be there at the next look.
        seen, head = head, await _head(database, tenant)
        if head is None or head == seen or head.count <= walk.last:
            break
    if not walk.is_given_up:
        _check_head(walk, head)
    return walk.findings


def _check_head(walk: Walk, head: Head | None) -> None:
    if head is None:
        if walk.last:
            walk.find(walk.last, Flaw.HEAD_MISSING)
    elif not walk.seals.is_right(head.mac, "head", walk.tenant, head.count, head.hash):
        walk.find(walk.last, Flaw.HEAD_EDITED)
    elif head.count > walk.last:
        walk.find(walk.last + 1, Flaw.CUT_OFF)
    elif (head.count, head.hash) != (walk.last, walk.hash):
        walk.find(walk.last, Flaw.HEAD_EDITED)


async def _verify_record(database: Database, seals: Seals) -> list[Finding]:
    heads = {row["tenant"]: row for row in await database.fetch(select(HEADS))}
    root = heads.pop(EVERYONE, None)
    return [] if is_root_right(seals, root, list(heads)) else [Finding(EVERYONE, 0, Flaw.TENANTS_EDITED)]


async def _head(database: Database, tenant: str) -> Head | None:
    found = await database.fetch(select(HEADS).where(HEADS.c.tenant == tenant))
    return Head(**found[0]) if found else None
