"""The map-reduce pattern: a long document in chunks, each mapped to an answer, these reduced to one."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        SEGMENT_CHUNKS,
        BlobRef,
        LedgerEntry,
        MapReduceOptions,
        RunRequest,
        RunResult,
        SegmentRequest,
        SegmentResult,
        Split,
        SplitRequest,
    )
    from engross.names import MAP_SEGMENT
    from workflows import failures, steps
    from workflows.mapping import Mapper
    from workflows.pattern import Pattern
    from workflows.run import Run
    from workflows.tree import Leaf, named, reduce_once, reduce_tree
    from workflows.window import in_window


@workflow.defn(name="map_reduce", failure_exception_types=failures.OF_OUR_OWN)
class MapReduce(Pattern):
    """Reads a document that is longer than a model reads well."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await run.prepare()
            document = MapReduction(run)
            leaves = await document.map(await document.split())
            missing = document.missing()
            answer = await document.reduce(leaves)
            await run.store(answer, missing=missing)
        return run.result


class MapReduction:
    """One document on its way through the pattern."""

    def __init__(self, run: Run) -> None:
        plan = run.prepared.plan
        if not isinstance(plan.options, MapReduceOptions):
            raise failures.named("InvalidRequest", f"job {plan.job!r} has no options of a map_reduce")
        self._run = run
        self._text = run.prepared.text
        self._options = plan.options
        self._map_step, self._reduce_step = plan.steps
        self._chunks = 0
        self._missing: list[LedgerEntry] = []
        self._segments: dict[int, SegmentResult] = {}

    async def split(self) -> Split:
        """The chunks of the document."""
        request = SplitRequest(
            text=self._text,
            chunk_tokens=self._options.chunk_tokens,
            overlap_tokens=self._options.overlap_tokens,
        )
        split = await steps.split_text(request, summary="split the text into chunks")
        if not split.count:
            raise failures.named("EmptyDocument", "the document has no text")
        self._chunks = split.count
        return split

    async def map(self, split: Split) -> list[Leaf]:
        """An answer for every chunk, or its name in the ledger. Many chunks are shared out to child runs."""
        if split.count > SEGMENT_CHUNKS:
            return await self._map_segments(split)
        leaves = await Mapper(self._run, self._map_step, self._reduce_step, self._options).map(split.chunks)
        self._missing = [entry for entry in self._run.ledger if not entry.has_answer]
        return leaves

    def missing(self) -> tuple[str, ...]:
        """What a partial answer lacks. Raises the failure that it is when the job allows no partial answer."""
        if self._missing and (not self._options.partial or len(self._missing) == self._chunks):
            raise failures.of_missing(self._missing, self._chunks)
        return tuple(map(failures.told_missing, self._missing))

    async def reduce(self, leaves: list[Leaf]) -> BlobRef:
        """One answer. That of a single chunk needs no reducing when both steps have the same schema."""
        if len(leaves) == 1 and self._map_step.schema_version != self._reduce_step.schema_version:
            return (await reduce_once(self._run, self._reduce_step, leaves, self._text, "the only chunk")).answer
        return (await reduce_tree(self._run, self._reduce_step, leaves, self._text, self._options)).answer

    async def _map_segments(self, split: Split) -> list[Leaf]:
        firsts = range(1, split.count + 1, SEGMENT_CHUNKS)
        lanes = min(len(firsts), max(1, self._options.at_once // 4))
        options = self._options.model_copy(update={"at_once": max(1, self._options.at_once // lanes)})

        async def segment(first: int) -> Leaf | None:
            last = min(first + SEGMENT_CHUNKS - 1, split.count)
            request = self._segment(split, options, first, last)
            name = f"{self._run.run_id}-chunks-{first}"
            result = await self._run.children.run(
                MAP_SEGMENT, request, SegmentResult, job=self._run.request.job, run_id=name
            )
            return self._taken(first, result)

        return [leaf for leaf in await in_window(firsts, lanes, segment) if leaf is not None]

    def _segment(self, split: Split, options: MapReduceOptions, first: int, last: int) -> SegmentRequest:
        request = self._run.request.model_copy(update={"inherited": self._run.heritage()})
        return SegmentRequest(
            run=request,
            map=self._map_step,
            reduce=self._reduce_step,
            options=options,
            listing=split.listing,
            first=first,
            last=last,
        )

    def _taken(self, first: int, result: SegmentResult) -> Leaf | None:
        """The answer of a segment, once all that it tells is noted: also when another has failed by then."""
        self._segments[first] = result
        told = [result for _, result in sorted(self._segments.items())]
        self._run.accounts.absorb(result.spent, result.repairs)
        self._run.ledger_parts[:] = [each.ledger for each in told]
        self._missing = [entry for each in told for entry in each.missing]
        if result.error:
            raise failures.named(result.error.type, result.error.message)
        if result.answer is None:
            return None
        return Leaf(result.answer, result.answer_tokens, result.sources, named(result.sources))
