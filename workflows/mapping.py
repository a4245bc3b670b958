"""The map of map-reduce: every chunk asked about, and its final state in the ledger."""

from collections.abc import Sequence
from typing import Final

from engross.contracts import Chunk, ErrorInfo, LedgerEntry, MapReduceOptions, PartState, SplitRequest, StepPlan
from workflows import failures, steps
from workflows.run import Run
from workflows.tree import Leaf, reduce_once
from workflows.window import in_window

# A chunk whose answer doesn't fit, or that doesn't fit itself, is halved; so often, and not below so many tokens.
_HALVINGS: Final = 4
_SMALLEST: Final = 64
_TOO_LONG: Final = frozenset({"TruncatedAnswer", "ContextTooLong"})


class Mapper:
    """Maps the chunks of one document, `options.at_once` in flight."""

    def __init__(self, run: Run, map_step: StepPlan, reduce_step: StepPlan, options: MapReduceOptions) -> None:
        self._run = run
        self._map = map_step
        self._reduce = reduce_step
        self._options = options
        self._tenant = run.request.tenant

    async def map(self, chunks: Sequence[Chunk]) -> list[Leaf]:
        """The answers, in order, of those chunks that have one. All are entered in the ledger."""
        mapped = await in_window(chunks, self._options.at_once, self._map_chunk)
        self._run.enter(*(entry for entry, _ in mapped))
        return [leaf for _, leaf in mapped if leaf is not None]

    async def _map_chunk(self, chunk: Chunk) -> tuple[LedgerEntry, Leaf | None]:
        leaves, error, repaired = await self._map_or_halve(chunk, chunk.number, 0)
        entry = LedgerEntry(
            name=f"chunk {chunk.number}",
            state=failures.state_of(error) if error else PartState.REPAIRED if repaired else PartState.MAPPED,
            error=error.type if error else "",
            number=chunk.number,
            start=chunk.start,
            end=chunk.end,
            first_page=chunk.first_page,
            last_page=chunk.last_page,
            parts=max(1, len(leaves)),
        )
        if error:
            return entry, None
        if len(leaves) == 1:
            return entry, leaves[0]
        text = chunk.text(self._tenant)
        return entry, await reduce_once(self._run, self._reduce, leaves, text, f"chunk {chunk.number}")

    async def _map_or_halve(self, chunk: Chunk, number: int, depth: int) -> tuple[list[Leaf], ErrorInfo | None, bool]:
        """The answers to a chunk, more than one when it had to be halved; the error, and whether it was repaired."""
        label = f"chunk {number}{', part from ' + str(chunk.start) if depth else ''}"
        answer = await self._run.try_to_ask(self._map, chunk.text(self._tenant), sources=(number,), label=label)
        if not isinstance(answer, ErrorInfo):
            return [Leaf(answer.ref, answer.tokens, (number,), f"chunk {number}")], None, answer.is_repaired
        if answer.type not in _TOO_LONG or depth == _HALVINGS or chunk.tokens < 2 * _SMALLEST:
            return [], answer, False
        leaves: list[Leaf] = []
        for half in await self._halves(chunk):
            some, error, _ = await self._map_or_halve(half, number, depth + 1)
            if error:
                return [], error, False
            leaves += some
        return leaves, None, True

    async def _halves(self, chunk: Chunk) -> tuple[Chunk, ...]:
        request = SplitRequest(
            text=chunk.text(self._tenant), chunk_tokens=max(1, (chunk.tokens + 1) // 2), overlap_tokens=0
        )
        return (await steps.split_text(request, summary=f"halve chunk {chunk.number}")).chunks
