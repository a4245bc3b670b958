"""What is in a blob store: its blobs as stored, whose they are, and how they are deleted."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from obstore.store import ObjectStore

from engross.errors import InvalidRequest
from engross.names import is_name

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_AT_ONCE: Final = 32


@dataclass(frozen=True)
class StoredBlob:
    """A blob as stored: `stored_bytes` is its size there, `modified` (UTC) when it was written or asked for last."""

    tenant: str
    sha256: str
    stored_bytes: int
    modified: datetime


def is_blob(tenant: str, sha256: str) -> bool:
    """Whether `tenant` can have a blob of that hash."""
    return is_name(tenant) and _SHA256.fullmatch(sha256) is not None


def blob_path(tenant: str, sha256: str) -> str:
    """Where the blob is in the store. Raises `InvalidRequest` for what is no tenant or no hash."""
    if not is_blob(tenant, sha256):
        raise InvalidRequest("a blob reference needs a tenant's name and a SHA-256 in lower-case hexadecimal")
    return f"{tenant}/{sha256[:2]}/{sha256}"


async def stored_blobs(store: ObjectStore, tenant: str | None) -> AsyncIterator[StoredBlob]:
    """All blobs of `tenant`, or of everybody, in no order. What is none, by its name, is passed over."""
    async for page in store.list(prefix=tenant):
        for each in page:
            owner, sha256 = each["path"].partition("/")[0], each["path"].rpartition("/")[2]
            if is_blob(owner, sha256) and each["path"] == blob_path(owner, sha256):
                yield StoredBlob(owner, sha256, each["size"], each["last_modified"].astimezone(UTC))


async def owners(store: ObjectStore) -> Sequence[str]:
    """The tenants that have a folder, in order; one may be empty."""
    found = await store.list_with_delimiter_async()
    return sorted(filter(is_name, (prefix.strip("/") for prefix in found["common_prefixes"])))


async def delete_all(store: ObjectStore, paths: Sequence[str], unless_newer: datetime | None) -> int:
    """Deletes what is there, and has not been modified since `unless_newer`; gives how many that were."""
    deleted = 0
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        deleted += sum(await asyncio.gather(*(_delete(store, path, unless_newer) for path in some)))
    return deleted


async def _delete(store: ObjectStore, path: str, unless_newer: datetime | None) -> bool:
    try:
        # Looked at right before: it may have been put again since somebody listed it.
        found = await store.head_async(path)
        if unless_newer is not None and found["last_modified"] > unless_newer:
            return False
        await store.delete_async(path)
    except FileNotFoundError:
        return False
    return True
