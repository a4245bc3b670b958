"""The way of commands to the people in the result store, and of what they change into the audit log."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from activities.access import AccessStore
from activities.approvals.audit import AuditEntry, AuditLog
from activities.storage.database import Database
from engross.people import EVERY_TENANT
from engross.settings import Settings
from starters.identity import login_name
from starters.running import run
from workers.redis_access import installation_secret

T = TypeVar("T")

_SOURCE: Final = "command"


@dataclass(frozen=True)
class Access:
    """The people, and the log that every change to them goes into."""

    store: AccessStore
    log: AuditLog

    async def record(self, person: str, action: str, detail: str = "", tenant: str = EVERY_TENANT) -> None:
        """Adds a line on what was done to `person`; in the log of "*" where it concerns no tenant more than others."""
        entry = AuditEntry(
            tenant=tenant,
            at=datetime.now(UTC),
            actor=actor(),
            action=action,
            subject=person,
            source=_SOURCE,
            detail=detail,
        )
        await self.log.append([entry])


def with_access(settings: Settings, work: Callable[[Access], Awaitable[T]]) -> T:
    """What `work` gives, in an event loop of its own."""

    async def answer() -> T:
        async with opened_access(settings) as access:
            return await work(access)

    return run(answer())


@asynccontextmanager
async def opened_access(settings: Settings) -> AsyncIterator[Access]:
    """The people in the result store, and the audit log beside them; what is missing is created."""
    database = Database.open(settings.results_url)
    try:
        access = Access(AccessStore(database), AuditLog(database, installation_secret(settings)))
        await access.store.start()
        await access.log.start()
        yield access
    finally:
        await database.close()


def actor() -> str:
    """Who runs the command, as the audit log names them: a user of the machine, not one of ours."""
    return f"cli:{login_name()}"
