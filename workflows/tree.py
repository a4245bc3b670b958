"""The reduce tree: answers packed by size, level by level, until one is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from engross.contracts import BlobRef, Given, MapReduceOptions, StepPlan, TextRef
from workflows.run import Run
from workflows.window import in_window


@dataclass(frozen=True)
class Leaf:
    """An answer on its way up: its size in tokens, and the numbers of all chunks that it comes from."""

    answer: BlobRef
    tokens: int
    sources: tuple[int, ...]
    label: str


async def reduce_tree(
    run: Run, step: StepPlan, leaves: Sequence[Leaf], text: TextRef, options: MapReduceOptions
) -> Leaf:
    """The one answer that `leaves` come to; a single leaf is that already."""
    level = 0
    while len(leaves) > 1:
        level += 1
        packs = pack([leaf.tokens for leaf in leaves], options.fan_in, options.reduce_tokens)
        names = [f"level {level}, {number} of {len(packs)}" for number in range(1, len(packs) + 1)]
        work = [(leaves[first:last], name) for (first, last), name in zip(packs, names, strict=True)]

        async def reduce(part: tuple[Sequence[Leaf], str]) -> Leaf:
            some, name = part
            return some[0] if len(some) == 1 else await reduce_once(run, step, some, text, name)

        leaves = await in_window(work, options.at_once, reduce)
    return leaves[0]


async def reduce_once(run: Run, step: StepPlan, leaves: Sequence[Leaf], text: TextRef, label: str) -> Leaf:
    """One reduce call. What it may cite are the chunks behind the answers that it reads."""
    sources = tuple(sorted({number for leaf in leaves for number in leaf.sources}))
    given = tuple(Given(label=leaf.label, answer=leaf.answer) for leaf in leaves)
    answer = await run.ask(step, text, given=given, reads_text=False, sources=sources, label=label)
    return Leaf(answer.ref, answer.tokens, sources, named(sources))


def pack(sizes: Sequence[int], fan_in: int, most_tokens: int) -> list[tuple[int, int]]:
    """Which answers each call reads, as index pairs: neighbours, at most `fan_in` and `most_tokens` together.

    Always two at least, so that the tree gets narrower however large the answers are; only the last one may be alone.
    """
    packs: list[tuple[int, int]] = []
    first, tokens = 0, 0
    for at, size in enumerate(sizes):
        count = at - first
        if count >= fan_in or (count >= 2 and tokens + size > most_tokens):
            packs.append((first, at))
            first, tokens = at, 0
        tokens += size
    packs.append((first, len(sizes)))
    return packs


def named(sources: Sequence[int]) -> str:
    """What an answer is called that comes from these chunks."""
    return f"chunks {sources[0]} to {sources[-1]}" if len(sources) > 1 else f"chunk {sources[0]}"
