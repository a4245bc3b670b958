"""A blob store in memory whose clock is the test's."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engross.contracts import BlobRef
from engross.errors import DocumentNotFound


@dataclass(frozen=True)
class Listed:
    tenant: str
    sha256: str
    stored_bytes: int
    modified: datetime


class FakeBlobs:
    """`before_delete` is called with the hash of each blob that is about to be deleted."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], tuple[bytes, datetime]] = {}
        self.before_delete: Callable[[str], None] = lambda _: None

    def put(self, tenant: str, data: bytes, modified: datetime) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.stored[tenant, sha256] = data, modified
        return sha256

    async def list(self, tenant: str | None = None) -> AsyncIterator[Listed]:
        for (owner, sha256), (data, modified) in list(self.stored.items()):
            if tenant in (None, owner):
                yield Listed(owner, sha256, len(data), modified)

    async def find(self, tenant: str, sha256: str) -> BlobRef | None:
        found = self.stored.get((tenant, sha256))
        return BlobRef(tenant=tenant, sha256=sha256, size=len(found[0])) if found else None

    async def get(self, ref: BlobRef) -> bytes:
        try:
            return self.stored[ref.tenant, ref.sha256][0]
        except KeyError:
            raise DocumentNotFound("gone") from None

    async def delete(self, tenant: str, sha256s: Sequence[str], *, unless_newer: datetime | None) -> int:
        gone = 0
        for sha256 in sha256s:
            self.before_delete(sha256)
            found = self.stored.get((tenant, sha256))
            if found and not (unless_newer and found[1] > unless_newer):
                del self.stored[tenant, sha256]
                gone += 1
        return gone


class FakeRows:
    """Rows that name `roots`; `deleted` counts how often old ones were deleted."""

    def __init__(self, roots: Sequence[bytes] = ()) -> None:
        self.roots = roots
        self.deleted = 0

    async def add_busy(self, ids: object) -> None:
        """Nothing is busy."""

    async def mark(self, marks: object, told: object) -> None:
        marks.mark(self.roots)  # type: ignore[attr-defined]

    async def delete(self, report: object) -> None:
        self.deleted += 1
