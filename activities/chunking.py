"""The activities around chunks: split a text, list chunks, keep a ledger."""

import asyncio

from pydantic import TypeAdapter
from temporalio import activity

from activities.documents.canonical import CanonicalText
from activities.documents.chunks import Piece, split
from activities.ports import Blobs
from engross.contracts import (
    SEGMENT_CHUNKS,
    BlobRef,
    Chunk,
    Chunks,
    ChunksRequest,
    Ledger,
    LedgerRequest,
    Split,
    SplitRequest,
)

_LISTING = TypeAdapter(tuple[Chunk, ...])
# Blobs written side by side: each waits for the disk.
_AT_ONCE = 16


class Chunking:
    """Splits texts. What workflows get are references: chunks are blobs of their own, and so is their list."""

    def __init__(self, *, blobs: Blobs) -> None:
        self._blobs = blobs

    @activity.defn
    async def split_text(self, request: SplitRequest) -> Split:
        """The chunks of a text; of a long one the first `SEGMENT_CHUNKS`, and all of them in the listing."""
        text = CanonicalText.model_validate_json(await self._blobs.get(request.text))
        pieces = await asyncio.to_thread(
            split, text, most_tokens=request.chunk_tokens, overlap_tokens=request.overlap_tokens
        )
        chunks = await self._keep(text, pieces, request.text.tenant)
        listing = await self._blobs.put(request.text.tenant, _LISTING.dump_json(chunks), "application/json")
        return Split(count=len(chunks), listing=listing, chunks=chunks[:SEGMENT_CHUNKS])

    async def _keep(self, text: CanonicalText, pieces: list[Piece], tenant: str) -> tuple[Chunk, ...]:
        kept: dict[int, Chunk] = {}
        numbered = iter(enumerate(pieces, 1))

        async def lane() -> None:
            for number, piece in numbered:
                kept[number] = await self._kept(text.text[piece.start : piece.end], piece, number, tenant)

        await asyncio.gather(*(lane() for _ in range(_AT_ONCE)))
        return tuple(kept[number] for number in sorted(kept))

    async def _kept(self, part: str, piece: Piece, number: int, tenant: str) -> Chunk:
        blob: BlobRef = await self._blobs.put(
            tenant, CanonicalText(text=part, page_starts=(0,)).model_dump_json().encode(), "application/json"
        )
        return Chunk(
            number=number,
            sha256=blob.sha256,
            size=blob.size,
            start=piece.start,
            end=piece.end,
            tokens=piece.tokens,
            first_page=piece.first_page,
            last_page=piece.last_page,
        )

    @activity.defn
    async def read_chunks(self, request: ChunksRequest) -> Chunks:
        """Some of the chunks of a listing."""
        listed = _LISTING.validate_json(await self._blobs.get(request.listing))
        return Chunks(chunks=listed[request.first - 1 : request.last])

    @activity.defn
    async def keep_ledger(self, request: LedgerRequest) -> BlobRef:
        """Keeps entries in a blob."""
        ledger = Ledger(entries=request.entries).model_dump_json(exclude_defaults=True).encode()
        return await self._blobs.put(request.tenant, ledger, "application/json")
