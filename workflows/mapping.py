"""The map of map-reduce: every chunk asked about, and its final state in the ledger."""

from collections.abc import Sequence
from math import ceil
from typing import Final

from temporalio.exceptions import ActivityError, ApplicationError

from engross.contracts import Chunk, ErrorInfo, LedgerEntry, MapReduceOptions, PartState, SplitRequest, StepPlan
from workflows import failures, steps
from workflows.run import Run
from workflows.tree import Leaf, reduce_once
from workflows.window import in_window

# A chunk whose answer doesn't fit, or that doesn't fit itself, is halved; so often, and not below so many tokens.
_HALVINGS: Final = 4
_SMALLEST: Final = 64
# Pieces end where a reader would end them, short of what fits: with exactly half, a scrap would be left over, and paid.
_HALF: Final = 0.6
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
        try:
            mapped = await in_window(chunks, self._options.at_once, self._map_chunk)
        finally:
            self._run.ledger.sort(key=lambda entry: entry.number or 0)
        return [leaf for leaf in mapped if leaf is not None]

    async def _map_chunk(self, chunk: Chunk) -> Leaf | None:
        leaf, error, parts, repaired = None, None, 1, False
        try:
            leaves, repaired = await self._map_or_halve(chunk, 0)
            parts = len(leaves)
            text, name = chunk.text(self._tenant), f"chunk {chunk.number}"
            leaf = leaves[0] if parts == 1 else await reduce_once(self._run, self._reduce, leaves, text, name)
        except (ActivityError, ApplicationError) as failure:
            error = failures.caught(failure)
        self._run.enter(_entry(chunk, error, parts, repaired))
        return leaf

    async def _map_or_halve(self, chunk: Chunk, depth: int) -> tuple[list[Leaf], bool]:
        """The answers to a chunk, more than one when it had to be halved; and whether that, or a repair, was needed.

        Raises the failure of the first part that has none.
        """
        number = chunk.number
        label = f"chunk {number}{f', part from {chunk.start}' if depth else ''}"
        answer = await self._run.try_to_ask(self._map, chunk.text(self._tenant), sources=(number,), label=label)
        if not isinstance(answer, ErrorInfo):
            return [Leaf(answer.ref, answer.tokens, (number,), f"chunk {number}")], answer.is_repaired
        is_divisible = answer.type in _TOO_LONG and depth < _HALVINGS and chunk.tokens >= 2 * _SMALLEST
        halves = await self._halves(chunk) if is_divisible else ()
        if len(halves) < 2:
            raise failures.named(answer.type, answer.message)
        leaves: list[Leaf] = []
        for half in halves:
            leaves += (await self._map_or_halve(half, depth + 1))[0]
        return leaves, True

    async def _halves(self, chunk: Chunk) -> tuple[Chunk, ...]:
        """The parts of a chunk, each as a chunk of that number; only one when it can't be divided."""
        request = SplitRequest(text=chunk.text(self._tenant), chunk_tokens=ceil(_HALF * chunk.tokens), overlap_tokens=0)
        split = await steps.split_text(request, summary=f"halve chunk {chunk.number} from {chunk.start}")
        return tuple(
            half.model_copy(
                update={"number": chunk.number, "start": chunk.start + half.start, "end": chunk.start + half.end}
            )
            for half in split.chunks
        )


def _entry(chunk: Chunk, error: ErrorInfo | None, parts: int, repaired: bool) -> LedgerEntry:
    return LedgerEntry(
        name=f"chunk {chunk.number}",
        state=failures.state_of(error) if error else PartState.REPAIRED if repaired else PartState.MAPPED,
        error=error.type if error else "",
        number=chunk.number,
        start=chunk.start,
        end=chunk.end,
        first_page=chunk.first_page,
        last_page=chunk.last_page,
        parts=parts,
    )
