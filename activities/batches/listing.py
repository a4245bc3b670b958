"""The rows of a batch as blobs: blocks of equal length and an index, so that a group reads a few rows of very many."""

import asyncio
from collections.abc import Sequence
from typing import Final

from activities.ports import Blobs
from engross.contracts import BatchRow, BlobRef, Contract

_BLOCK_ROWS: Final = 500
_AT_ONCE: Final = 8
_JSON_LINES: Final = "application/jsonl"


class _Index(Contract):
    """The blocks in order; every block but the last holds `block_rows` rows, one a line."""

    block_rows: int
    blocks: tuple[BlobRef, ...]


async def write_listing(blobs: Blobs, tenant: str, rows: Sequence[BatchRow]) -> BlobRef:
    """Stores `rows`, which are numbered from 1 without a gap, and returns their index."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def write(block: Sequence[BatchRow]) -> BlobRef:
        async with free:
            lines = "\n".join(row.model_dump_json(exclude_defaults=True) for row in block)
            return await blobs.put(tenant, lines.encode(), _JSON_LINES)

    blocks = [rows[first : first + _BLOCK_ROWS] for first in range(0, len(rows), _BLOCK_ROWS)]
    index = _Index(block_rows=_BLOCK_ROWS, blocks=tuple(await asyncio.gather(*map(write, blocks))))
    return await blobs.put(tenant, index.model_dump_json().encode(), "application/json")


async def read_rows(blobs: Blobs, listing: BlobRef, first: int, last: int) -> list[BatchRow]:
    """The rows from `first` to `last`; fewer when there are fewer."""
    index = _Index.model_validate_json(await blobs.get(listing))
    found: list[BatchRow] = []
    for number, block in enumerate(index.blocks):
        start = number * index.block_rows + 1
        if start > last or start + index.block_rows <= first:
            continue
        lines = (await blobs.get(block)).split(b"\n")
        found += map(BatchRow.model_validate_json, lines[max(0, first - start) : last - start + 1])
    return found
