"""A part of a map-reduce over a very long document: some of its chunks, mapped and reduced to one answer."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from engross.contracts import ChunksRequest, ErrorInfo, LedgerRequest, SegmentRequest, SegmentResult
    from engross.names import MAP_SEGMENT
    from workflows import failures, steps
    from workflows.mapping import Mapper
    from workflows.pattern import Pattern
    from workflows.run import Run
    from workflows.tree import Leaf, reduce_tree
    from workflows.window import to_its_end


@workflow.defn(name=MAP_SEGMENT, failure_exception_types=failures.OF_OUR_OWN)
class MapSegment(Pattern):
    """A child run of `map_reduce`, so that no history grows with the document.

    What it spent has to reach the accounts of its parent: failed or cancelled, it too ends with a result.
    """

    @workflow.init
    def __init__(self, request: SegmentRequest) -> None:
        self._run = Run(request.run, pattern="map_reduce")

    @workflow.run
    async def run(self, request: SegmentRequest) -> SegmentResult:
        try:
            top, error = await self._read(request), None
        except (FailureError, asyncio.CancelledError) as failure:
            is_cancelled = is_cancelled_exception(failure)
            top, error = None, failures.CANCELLED if is_cancelled else failures.caught(failure)
        return await to_its_end(self._result(request, top, error))

    async def _read(self, request: SegmentRequest) -> Leaf | None:
        """The answer; None when no chunk gave one, or when the job allows none without those that gave none."""
        listed = ChunksRequest(listing=request.listing, first=request.first, last=request.last)
        chunks = (await steps.read_chunks(listed, summary=f"chunks {request.first} to {request.last}")).chunks
        leaves = await Mapper(self._run, request.map, request.reduce, request.options).map(chunks)
        if not leaves or (len(leaves) < len(chunks) and not request.options.partial):
            return None
        return await reduce_tree(self._run, request.reduce, leaves, chunks[0].text(request.run.tenant), request.options)

    async def _result(self, request: SegmentRequest, top: Leaf | None, error: ErrorInfo | None) -> SegmentResult:
        entries = tuple(self._run.ledger)
        kept = LedgerRequest(tenant=request.run.tenant, entries=entries)
        return SegmentResult(
            answer=top.answer if top else None,
            answer_tokens=top.tokens if top else 0,
            sources=top.sources if top else (),
            ledger=await steps.keep_ledger(kept, summary="keep the ledger of these chunks"),
            missing=tuple(entry for entry in entries if not entry.has_answer),
            spent=self._run.accounts.spent(),
            repairs=self._run.accounts.repairs,
            error=error,
        )
