"""From a command line to the documents of a batch: paths, manifests, rows of CSV and JSON lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from activities.batches.manifest import read_manifest
from engross.contracts import BatchRow
from engross.errors import EmptyBatch, InvalidRequest
from starters.batch_items import BatchItem, info
from starters.cli.batch_rows import row_items
from starters.cli.ending import NothingToSubmit
from starters.cli.paths import Found, find_documents
from starters.cli.texts import read_bytes

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Sources:
    """What a command line names: paths and globs, a manifest, a file whose rows are documents and its text column."""

    paths: Sequence[str] = ()
    manifest: Path | None = None
    rows: Path | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if self.column is not None and self.rows is None:
            raise InvalidRequest("--column names a column of the file that --rows names; give both")
        if not self.paths and self.manifest is None and self.rows is None:
            raise InvalidRequest("name documents: PATH..., --manifest FILE or --rows FILE")


def find_items(sources: Sources) -> list[BatchItem]:
    """The documents that `sources` name, each that cannot be had with its reason.

    Raises `EmptyBatch` when there is none, `InvalidRequest` for a manifest or rows that cannot be read at all.
    """
    items = list(
        chain(
            _of_paths(sources.paths) if sources.paths else (),
            _of_manifest(sources.manifest) if sources.manifest else (),
            row_items(sources.rows, sources.column) if sources.rows else (),
        )
    )
    if not items:
        raise EmptyBatch("no document is named: the manifest or the rows are empty")
    return items


def _of_paths(paths: Sequence[str]) -> Iterator[BatchItem]:
    try:
        yield from map(_of_found, find_documents(paths))
    except NothingToSubmit as error:
        raise EmptyBatch(str(error)) from None


def _of_found(found: Found) -> BatchItem:
    problem = info(found.problem) if found.problem else None
    return BatchItem(str(found.path), found.path, problem)


def _of_manifest(path: Path) -> Iterator[BatchItem]:
    data = read_bytes(path, "--manifest").removeprefix(_BOM)
    if data.lstrip().startswith(b"{"):
        yield from map(_of_row, read_manifest(data))
        return
    # A path a line, in whatever bytes the file system has them.
    for line in data.splitlines():
        if line.strip():
            named = Path(line.decode("utf-8", "surrogateescape").strip())
            yield BatchItem(str(named), named)


def _of_row(row: BatchRow) -> BatchItem:
    uri, name = row.document.uri, row.document.name
    if row.error is None and not urlsplit(uri).scheme:
        return BatchItem(name or uri, Path(uri), media_type=row.document.media_type)  # a path from here
    return BatchItem(name, uri, row.error, row.document.media_type)
