"""Where documents come from: a client's upload, or a local file below the folders that this installation allows."""

import asyncio
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from activities.ports import Blobs
from engross.contracts import BlobRef, DocumentSource
from engross.errors import DocumentNotFound, DocumentTooLarge, InvalidRequest, SourceRefused

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Sources:
    """Reads documents by address. `roots`: the folders below which `file:///` is read; `max_mb` in 10^6 bytes."""

    blobs: Blobs
    roots: Sequence[Path]
    max_mb: int

    async def read(self, source: DocumentSource, tenant: str) -> tuple[BlobRef, bytes]:
        """The document as ingested and its bytes. Raises the `DocumentError` that fits, or `InvalidRequest`."""
        scheme = urlsplit(source.uri).scheme
        if scheme == "blob":
            return await self._uploaded(source.uri.removeprefix("blob:"), tenant)
        if scheme == "file":
            data = await asyncio.to_thread(self._file, source.uri)
            return await self.blobs.put(tenant, data), data
        raise SourceRefused(
            f"documents are read from file:/// and blob: addresses, not from {scheme or 'a bare path'!r}"
        )

    async def _uploaded(self, sha256: str, tenant: str) -> tuple[BlobRef, bytes]:
        if len(sha256) != 64 or not sha256.isalnum():
            raise InvalidRequest("a blob: address is blob:<sha256 in hex>")
        ref = await self.blobs.find(tenant, sha256)
        if ref is None:
            raise DocumentNotFound("the uploaded document is not in the blob store; submit it again")
        return ref, await self.blobs.get(ref)

    def _file(self, uri: str) -> bytes:
        parts = urlsplit(uri)
        if parts.netloc not in {"", "localhost"} or "\0" in unquote(parts.path):
            raise SourceRefused("write a local file as file:///path/to/document")
        try:
            path = Path(unquote(parts.path)).resolve(strict=True)  # follows links, so that roots are of the real place
            status = path.stat()
        except (OSError, RuntimeError):
            raise DocumentNotFound("no such file on the worker's machine") from None
        if not any(path.is_relative_to(root.resolve()) for root in self.roots):
            raise SourceRefused(
                "that folder is not among ENGROSS_DOCUMENT_ROOTS; add it there, or use `engross submit`"
            )
        if not stat.S_ISREG(status.st_mode):
            raise SourceRefused("not a regular file")
        limit = self.max_mb * _MEGABYTE
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise DocumentTooLarge(f"over {self.max_mb} MB; ENGROSS_MAX_DOCUMENT_MB sets the limit")
        return data
