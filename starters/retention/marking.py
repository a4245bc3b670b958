"""What is needed: every hash of a blob that something names, and what the blobs that are needed name themselves.

Conservative, as some garbage collectors are: whatever looks like a blob's hash counts as one, wherever it stands. So
nothing has to know which field of which message refers to a blob, and none can be forgotten.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Final, Protocol

from engross.contracts import BlobRef
from engross.errors import DocumentNotFound, TenantErased
from starters.retention.report import Told

# What is longer is a document: our own lists of blobs are far shorter.
MOST_SCANNED: Final = 64_000_000
_AT_ONCE: Final = 8
_DIGITS: Final = 64
_RUNS_OF_DIGITS: Final = re.compile(rb"[0-9a-f]{64,}")
# Another language's client may write any letter or digit of JSON so.
_ESCAPED: Final = re.compile(rb"\\u00(3[0-9]|6[1-6])")


class Stored(Protocol):
    """A blob in the store; see `activities.storage.blobs`. `modified` is when it was put last (UTC)."""

    @property
    def tenant(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def stored_bytes(self) -> int: ...

    @property
    def modified(self) -> datetime: ...


class Blobs(Protocol):
    """The part of the blob store that marking needs."""

    def list(self, tenant: str | None = None) -> AsyncIterator[Stored]: ...

    async def find(self, tenant: str, sha256: str) -> BlobRef | None: ...

    async def get(self, ref: BlobRef) -> bytes: ...


def digests(data: bytes) -> Iterator[bytes]:
    """Whatever in `data` may be a blob's hash, 32 bytes each, overlapping ones included."""
    for found in _RUNS_OF_DIGITS.finditer(data):
        run = found.group()
        for start in range(len(run) - _DIGITS + 1):
            yield bytes.fromhex(run[start : start + _DIGITS].decode())
    plain, count = _ESCAPED.subn(lambda escape: bytes.fromhex(escape[1].decode()), data)
    if count:
        yield from digests(plain)


class Marks:
    """Which of the blobs in a store are needed. About 150 bytes of memory a blob."""

    def __init__(self) -> None:
        # The tenants that have a blob, by its hash: one tuple for all blobs of the same ones.
        self._unmarked: dict[bytes, tuple[str, ...]] = {}
        self._needed: set[bytes] = set()
        self._unread: list[tuple[bytes, tuple[str, ...]]] = []
        self._tuples: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, tenant: str, sha256: str) -> None:
        """A blob that is there."""
        digest = bytes.fromhex(sha256)
        if digest not in self._needed:
            tenants = (*self._unmarked.get(digest, ()), tenant)
            self._unmarked[digest] = self._tuples.setdefault(tenants, tenants)

    def mark(self, found: Iterable[bytes]) -> None:
        """These are needed, if they are there."""
        for digest in found:
            tenants = self._unmarked.pop(digest, None)
            if tenants is not None:
                self._needed.add(digest)
                self._unread.append((digest, tenants))

    def is_garbage(self, sha256: str) -> bool:
        """Whether the blob was there when blobs were listed, and nothing needs it."""
        return bytes.fromhex(sha256) in self._unmarked

    def is_needed(self, sha256: str) -> bool:
        """Whether something needs that blob."""
        return bytes.fromhex(sha256) in self._needed

    async def follow(self, blobs: Blobs, told: Told) -> None:
        """Marks what the needed blobs name, and what those name, to the end.

        Raises `CorruptDocument`, `KeyUnavailable` and `ServiceUnavailable`, as nobody knows then what they name.
        """
        while self._unread:
            some = [self._unread.pop() for _ in range(min(_AT_ONCE, len(self._unread)))]
            places = [(tenant, digest.hex()) for digest, tenants in some for tenant in tenants]
            for data in await asyncio.gather(*(_content(blobs, *place) for place in places)):
                self.mark(digests(data))
            told("needed blobs read", len(self._needed) - len(self._unread))


async def _content(blobs: Blobs, tenant: str, sha256: str) -> bytes:
    """The bytes of a blob; none of one that is gone, that nobody can read any more, or that is a large document."""
    ref = await blobs.find(tenant, sha256)
    if ref is None or ref.size > MOST_SCANNED:
        return b""
    try:
        return await blobs.get(ref)
    except (DocumentNotFound, TenantErased):
        return b""
