"""Documents of a batch before it is started, and the manifest that they become."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activities.batches.manifest import ManifestLine
from activities.storage import BlobStore
from engross.contracts import BlobRef, ErrorInfo
from engross.errors import DocumentError, EmptyBatch, EngrossError, InvalidRequest
from starters import intake
from starters.batch_reports import UnreadDocument

_UPLOADS_AT_ONCE: Final = 16
_LONGEST_NAME: Final = 1024
_LONGEST_URI: Final = 4096


@dataclass(frozen=True)
class BatchItem:
    """One document: a file here, bytes, or an address that a worker reads; or the reason why it is none.

    `name` is for people. `media_type` "text/plain" says that it needs no parser.
    """

    name: str
    document: Path | bytes | str
    problem: ErrorInfo | None = None
    media_type: str = ""


@dataclass(frozen=True)
class Manifest:
    """An uploaded manifest, how many rows it has, and those of them that name no document."""

    blob: BlobRef
    rows: int
    unread: tuple[UnreadDocument, ...]


def info(error: EngrossError) -> ErrorInfo:
    """`error` as it crosses processes."""
    return ErrorInfo(type=error.type, message=str(error))


async def upload(
    blobs: BlobStore,
    tenant: str,
    items: Iterable[BatchItem],
    *,
    max_megabytes: int,
    uploaded: Callable[[], None] = lambda: None,
) -> Manifest:
    """Stores the documents, some at a time, then the manifest. One that cannot be read is a row that says why.

    Raises `EmptyBatch`, or `ServiceUnavailable`. `uploaded` is called for each document.
    """
    lines: list[bytes] = []
    unread: dict[int, UnreadDocument] = {}
    left = enumerate(items)

    async def lane() -> None:
        for place, item in left:
            lines.append(b"")  # places are handed out in order, so this one's is there now
            line = await _line(blobs, tenant, item, max_megabytes)
            lines[place] = line.model_dump_json(exclude_defaults=True).encode()
            if line.error is not None:
                unread[place] = UnreadDocument(document=line.name, error=line.error)
            uploaded()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_UPLOADS_AT_ONCE):
                group.create_task(lane())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the store is gone: for every lane alike
    if not lines:
        raise EmptyBatch("a batch needs at least one document")
    blob = await blobs.put(tenant, b"\n".join(lines), "application/jsonl")
    return Manifest(blob, len(lines), tuple(unread[place] for place in sorted(unread)))


async def _line(blobs: BlobStore, tenant: str, item: BatchItem, max_megabytes: int) -> ManifestLine:
    shown = ManifestLine(
        uri=_address(item.document),
        name=item.name.encode("utf-8", "replace").decode()[-_LONGEST_NAME:],
        media_type=item.media_type,
        error=item.problem,
    )
    if item.problem is not None or isinstance(item.document, str):
        return shown
    try:
        data = await _data(item, item.document, max_megabytes)
    except (DocumentError, InvalidRequest) as error:
        return shown.model_copy(update={"error": info(error)})
    blob = await blobs.put(tenant, data)
    return shown.model_copy(update={"uri": f"blob:{blob.sha256}"})


async def _data(item: BatchItem, document: Path | bytes, max_megabytes: int) -> bytes:
    if isinstance(document, bytes):
        return intake.checked(document, item.name, max_megabytes)
    return await asyncio.to_thread(intake.read_document, document, max_megabytes)


def _address(document: Path | bytes | str) -> str:
    """Where a document is found when it is asked for again, as far as that can be said."""
    if isinstance(document, Path):
        document = document.absolute().as_uri()  # any byte of a name is escaped in it
    return document if isinstance(document, str) and len(document) <= _LONGEST_URI else ""
