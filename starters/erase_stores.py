"""Where a tenant's content is kept besides Temporal: what is there of it, and how it is deleted."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol

import redis.asyncio as redis
from sqlalchemy import Table, delete, func, select

from activities.approvals.cases import CASES, Cases
from activities.approvals.rows import ApprovalRows
from activities.approvals.rows_tables import APPROVALS
from activities.guards.redis_errors import translated
from activities.storage import ResultStore
from activities.storage.batches import BATCH_ROWS
from activities.storage.database import Database
from activities.storage.details import DETAILS
from activities.storage.rows import RUNS

# What was spent (`spent`) is not among them: it has no content, and accounts must still add up.
TABLES: Final[Mapping[str, Table]] = {
    "results": RUNS,
    "result details": DETAILS,
    "batch rows": BATCH_ROWS,
    "approvals": APPROVALS,
    "cases": CASES,
}
BLOBS: Final = "blobs"
COMPLETIONS: Final = "kept replies"
# The beginning of a `CompletionKey`'s name.
_COMPLETIONS_OF: Final = "engross:completion:{}:*"
_AT_ONCE: Final = 500


class TenantStore(Protocol):
    """A place with content of tenants. Both methods count by kind, and raise `ServiceUnavailable`."""

    async def count(self, tenant: str) -> Mapping[str, int]: ...

    async def delete(self, tenant: str) -> Mapping[str, int]: ...


class TenantRows:
    """The rows of results, batches, approvals and cases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        """Creates the tables that are missing, so that a repeat on an empty database finds nothing, not an error."""
        for store in (ResultStore(self._database), ApprovalRows(self._database), Cases(self._database)):
            await store.start()

    async def count(self, tenant: str) -> Mapping[str, int]:
        async with self._database.reading() as connection:
            return {
                name: await connection.scalar(select(func.count()).select_from(table).where(table.c.tenant == tenant))
                or 0
                for name, table in TABLES.items()
            }

    async def delete(self, tenant: str) -> Mapping[str, int]:
        async with self._database.writing() as connection:
            return {
                name: (await connection.execute(delete(table).where(table.c.tenant == tenant))).rowcount
                for name, table in TABLES.items()
            }


class StoredBlob(Protocol):
    """A blob in the store; see `activities.storage.blobs`."""

    @property
    def sha256(self) -> str: ...


class Blobs(Protocol):
    """The part of the blob store that erasing needs."""

    def list(self, tenant: str | None = None) -> AsyncIterator[StoredBlob]: ...

    async def delete(self, tenant: str, sha256s: Sequence[str]) -> int: ...


class TenantBlobs:
    """The blobs, each below its tenant's name."""

    def __init__(self, store: Blobs) -> None:
        self._store = store

    async def count(self, tenant: str) -> Mapping[str, int]:
        return {BLOBS: sum([1 async for _ in self._store.list(tenant)])}

    async def delete(self, tenant: str) -> Mapping[str, int]:
        deleted, page = 0, list[str]()
        async for blob in self._store.list(tenant):
            page.append(blob.sha256)
            if len(page) == _AT_ONCE:
                deleted += await self._store.delete(tenant, page)
                page = []
        return {BLOBS: deleted + (await self._store.delete(tenant, page) if page else 0)}


class TenantCompletions:
    """The kept replies of models, and the intents beside them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    async def count(self, tenant: str) -> Mapping[str, int]:
        return {COMPLETIONS: await self._each(tenant, is_deleted=False)}

    async def delete(self, tenant: str) -> Mapping[str, int]:
        return {COMPLETIONS: await self._each(tenant, is_deleted=True)}

    async def _each(self, tenant: str, *, is_deleted: bool) -> int:
        total = cursor = 0
        while True:
            with translated():
                # A tenant's name has no character that means anything in a pattern.
                cursor, names = await self._client.scan(cursor, match=_COMPLETIONS_OF.format(tenant), count=_AT_ONCE)
                if names:
                    total += await self._client.unlink(*names) if is_deleted else len(names)
            if cursor == 0:
                return total
