"""The audit log: who did what, on exactly what, when and from where; a hash chain for each tenant.

`verify` finds lines that were edited, removed, moved, renumbered or added, a tail that was cut off, and a log that is
gone. It can't find what is done with both the database and the installation's secret, nor an older copy of the whole
database put in the place of this one. Against these, keep exports elsewhere and compare the log with them:
`AuditLog.differences`, which is `engross audit verify --against FILE`.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from typing import Final

from pydantic import ValidationError
from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.approvals.audit_entries import AuditEntry, AuditLine, fields_of_entry
from activities.approvals.audit_export import ExportEnd, export_end
from activities.approvals.audit_tables import AUDIT, AUDIT_INDEXES, EVERYONE, HEADS, fields_of, protect
from activities.approvals.audit_verify import differences, verify_log
from activities.approvals.audit_writes import AuditWrites
from activities.approvals.chain import Fields, Finding, Head, Seals
from activities.storage.database import Database
from activities.storage.rows import storable
from engross.errors import AuditBroken

__all__ = ["AuditEntry", "AuditLine", "AuditLog"]

_PAGE: Final = 500


class AuditLog:
    """Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._seals = Seals(secret)
        self._writes = AuditWrites(database.insert, self._seals)

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create((AUDIT, HEADS), AUDIT_INDEXES)
        async with self._database.writing() as connection:
            await protect(connection)

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Adds `entries` in their order, all or none; those whose event is there already are left out.

        Raises `InvalidRequest` for an entry without a tenant.
        """
        async with self._database.writing() as connection:
            await self.write(connection, entries)

    async def write(self, connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
        """`append` in a transaction of the caller's: at most once, before all else in it, as it takes locks."""
        await self._writes.write(connection, [fields_of_entry(entry) for entry in entries])

    async def of(self, subject: str) -> list[AuditLine]:
        """All lines about `subject`, such as the id of an approval, in the order of the log."""
        query = select(AUDIT).where(AUDIT.c.subject == storable(subject)).order_by(AUDIT.c.tenant, AUDIT.c.number)
        return [_line_of(row) for row in await self._database.fetch(query)]

    async def export(self, tenant: str | None = None, *, since: date | None = None) -> AsyncIterator[AuditLine]:
        """The lines of `tenant` or all tenants, one tenant after the other, page by page.

        `since` leaves out those before the first one of that day (UTC) or later: after it, no line is left out.
        """
        for each in await self._tenants(tenant):
            query = select(AUDIT).where(AUDIT.c.tenant == each).order_by(AUDIT.c.number).limit(_PAGE)
            if since is not None:
                begins = select(func.min(AUDIT.c.number)).where(AUDIT.c.tenant == each, AUDIT.c.at >= since.isoformat())
                query = query.where(AUDIT.c.number >= begins.scalar_subquery())
            page = query
            while found := await self._database.fetch(page):
                for row in found:
                    yield _line_of(row)
                page = query.where(AUDIT.c.number > found[-1]["number"])

    async def heads(self, tenant: str | None = None) -> list[Head]:
        """How far the log of `tenant`, or of each tenant, goes."""
        query = select(HEADS).where(HEADS.c.tenant != EVERYONE).order_by(HEADS.c.tenant)
        found = await self._database.fetch(query if tenant is None else query.where(HEADS.c.tenant == storable(tenant)))
        return [Head(**row) for row in found]

    async def verify(self, tenant: str | None = None) -> list[Finding]:
        """What is wrong with the log of `tenant`, or of all; page by page, while others may write."""
        return await verify_log(self._database, self._seals, None if tenant is None else storable(tenant))

    async def differences(self, lines: Iterable[Fields]) -> list[Finding]:
        """Where the log is not what `lines`, an export of it that has been verified, say that it was."""
        return await differences(self._database, lines)

    def end_of(self, first: int, head: Head) -> ExportEnd:
        """What shows that an export of the lines from number `first` to those of `head` is whole."""
        return export_end(self._seals, first, head)

    async def _tenants(self, tenant: str | None) -> list[str]:
        if tenant is not None:
            return [storable(tenant)]
        found = await self._database.fetch(select(AUDIT.c.tenant).distinct().order_by(AUDIT.c.tenant))
        return [row["tenant"] for row in found]


def _line_of(row: RowMapping) -> AuditLine:
    try:
        return AuditLine.model_validate(fields_of(row))
    except ValidationError:
        place = f"{row['number']} of tenant {row['tenant']}"
        raise AuditBroken(f"line {place} of the audit log has been edited; see `engross audit verify`") from None
