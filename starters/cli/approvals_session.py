"""Whoever runs a command on approvals, and their way to them."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Final

from activities.access.store import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.rows import ApprovalRows, Page, Wanted
from activities.storage.database import Database
from engross.catalog import load_catalog
from engross.endpoints import resolve
from engross.errors import NotSignedIn
from engross.people import Person
from engross.settings import Settings
from starters.approvals import Approvals, seen_by
from starters.approvals_view import ApprovalView
from starters.connection import connect
from workers.redis_access import installation_secret
from workers.stores_access import open_blobs

SOURCE: Final = "command"


@dataclass(frozen=True)
class Session:
    """Approvals, for the person whose key is in ENGROSS_USER_KEY."""

    approvals: Approvals
    person: Person

    async def view(self, name: str) -> ApprovalView:
        """The approval that `name` means; see `Approvals.find`."""
        return await self.approvals.show(self.person, await self.approvals.find(self.person, name))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Session]:
    """Raises `NotSignedIn` when nobody is, and `ServiceUnavailable`."""
    async with _signed_in(settings) as (database, person):
        endpoints = resolve(settings)
        # It may warn, and what it logs must not mix with data on stdout.
        with redirect_stdout(sys.stderr):
            secret = installation_secret(settings)
        rows, audit = ApprovalRows(database), AuditLog(database, secret)
        await rows.start()
        await audit.start()
        approvals = Approvals(
            temporal=await connect(settings, endpoints),
            address=endpoints.temporal,
            rows=rows,
            blobs=open_blobs(settings),
            catalog=load_catalog(settings.jobs_path),
            secret=secret,
            history=audit,
        )
        yield Session(approvals, person)


async def inbox(settings: Settings, wanted: Wanted, limit: int) -> Page:
    """The first of the approvals that the person may see; Temporal is not asked. Raises as `opened`."""
    async with _signed_in(settings) as (database, person):
        rows = ApprovalRows(database)
        await rows.start()
        return await rows.page(seen_by(person, wanted), limit=limit)


@asynccontextmanager
async def _signed_in(settings: Settings) -> AsyncIterator[tuple[Database, Person]]:
    if settings.user_key is None:
        raise NotSignedIn("say who you are: set ENGROSS_USER_KEY to a key that `engross users key NAME` makes")
    database = Database.open(settings.results_url)
    try:
        access = AccessStore(database)
        await access.start()
        yield database, await access.by_key(settings.user_key.get_secret_value())
    finally:
        await database.close()


def host() -> str:
    """Where the command runs, for the audit."""
    return socket.gethostname()
