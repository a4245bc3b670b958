"""Chunks that are too long for a model, or whose answers are: read in parts, under the number of the chunk."""

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import Outcome, ReplyStatus
from tests.workflows.fakes import ScriptedActivities
from tests.workflows.harness import events, run
from tests.workflows.map_reductions import document, failing, unless

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRUNCATED, REFUSED = ReplyStatus.TRUNCATED, ReplyStatus.REFUSED
TOO_LONG: list[ReplyStatus | Exception] = [TRUNCATED, failing("ContextTooLong")]


async def read_in_parts(
    environment: WorkflowEnvironment, special: dict[str, ReplyStatus | Exception], run_id: str, tokens: int = 200
) -> ScriptedActivities:
    fakes = document(2, unless(special), tokens=tokens, partial=True)
    await run(environment.client, fakes, run_id=run_id, kind="map_reduce")
    return fakes


def ledger_of(fakes: ScriptedActivities) -> list[tuple[str, str, int]]:
    [stored] = fakes.stored
    return [(entry.state.value, entry.error, entry.parts) for entry in stored.ledger]


@pytest.mark.parametrize("why", TOO_LONG, ids=["truncated twice", "context too long"])
async def test_a_chunk_that_is_too_long_is_halved_and_put_together(
    environment: WorkflowEnvironment, why: ReplyStatus | Exception
) -> None:
    fakes = await read_in_parts(environment, {"chunk-1": why}, f"halved-{why is TRUNCATED}")
    [_, halved] = fakes.splits
    assert (halved.text.sha256, halved.text.characters, halved.chunk_tokens, halved.overlap_tokens) == (
        *("chunk-1", 1000),
        *(120, 0),
    )
    parts = [request for request in fakes.asked if "/" in request.text.sha256]
    assert [(request.text.sha256, request.sources) for request in parts] == [("chunk-1/1", (1,)), ("chunk-1/2", (1,))]
    together, top = [request for request in fakes.asked if request.given]
    assert [given.answer.sha256 for given in together.given] == ["map(chunk-1/1)", "map(chunk-1/2)"]
    assert ([given.label for given in together.given], together.sources) == (["chunk 1", "chunk 1"], (1,))
    assert [given.label for given in top.given] == ["chunk 1", "chunk 2"]
    assert ledger_of(fakes) == [("repaired", "", 2), ("mapped", "", 1)]
    [stored] = fakes.stored
    assert (stored.result.outcome, [(entry.start, entry.end) for entry in stored.ledger]) == (
        *(Outcome.DONE,),
        *([(0, 1000), (1000, 2000)],),
    )


async def test_parts_are_named_by_where_they_are_in_the_document(environment: WorkflowEnvironment) -> None:
    special = {"chunk-2": TOO_LONG[1], "chunk-2/2": TOO_LONG[1]}
    fakes = await read_in_parts(environment, special, "quarters", tokens=300)
    assert ledger_of(fakes) == [("mapped", "", 1), ("repaired", "", 3)]
    told = [
        environment.client.data_converter.payload_converter.from_payload(event.user_metadata.summary, str)
        for event in await events(environment.client, "quarters")
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert [text for text in told if "part from" in text] == [
        f"map chunk 2, part from {start} (openai:stand-in)" for start in (1000, 1500, 1500, 1750)
    ]


async def test_halving_has_an_end(environment: WorkflowEnvironment) -> None:
    first = "chunk-1"
    special: dict[str, ReplyStatus | Exception] = {
        name: failing("ContextTooLong") for name in (first, *(first + "/1" * depth for depth in range(1, 9)))
    }
    fakes = await read_in_parts(environment, special, "endless", tokens=100_000)
    assert ledger_of(fakes) == [("failed", "ContextTooLong", 1), ("mapped", "", 1)]
    assert [split.chunk_tokens for split in fakes.splits[1:]] == [60_000, 36_000, 21_600, 12_960]


async def test_a_small_chunk_is_not_halved(environment: WorkflowEnvironment) -> None:
    fakes = await read_in_parts(environment, {"chunk-1": TRUNCATED}, "small", tokens=127)
    assert (ledger_of(fakes)[0], len(fakes.splits)) == (("truncated", "TruncatedAnswer", 1), 1)


async def test_a_chunk_that_cannot_be_divided_is_not_asked_about_again(environment: WorkflowEnvironment) -> None:
    fakes = document(2, unless({"chunk-1": failing("ContextTooLong")}), partial=True)
    fakes.halves = 1
    await run(environment.client, fakes, run_id="indivisible", kind="map_reduce")
    assert (ledger_of(fakes)[0], len(fakes.asked)) == (("failed", "ContextTooLong", 1), 2)


@pytest.mark.parametrize(
    ("part", "state"),
    [("chunk-1/1", ("refused", "RefusedAnswer", 1)), ("chunk-1/2", ("refused", "RefusedAnswer", 1))],
)
async def test_a_chunk_without_one_of_its_parts_is_missing(
    environment: WorkflowEnvironment, part: str, state: tuple[str, str, int]
) -> None:
    fakes = await read_in_parts(environment, {"chunk-1": TRUNCATED, part: REFUSED}, f"without-{part[-1]}")
    assert ledger_of(fakes) == [state, ("mapped", "", 1)]
    assert fakes.stored[0].result.missing == ("chunk 1, page 1: RefusedAnswer",)


async def test_what_fails_around_the_parts_fails_their_chunk_only(environment: WorkflowEnvironment) -> None:
    """The call that puts them together, and the step that divides."""
    special: dict[str, ReplyStatus | Exception] = {"chunk-1": TRUNCATED, "reduce": REFUSED}
    fakes = await read_in_parts(environment, special, "not-together")
    assert ledger_of(fakes) == [("refused", "RefusedAnswer", 2), ("mapped", "", 1)]
    fakes = document(2, unless({"chunk-1": TRUNCATED}), partial=True)
    fakes.split_error = failing("ServiceUnavailable")
    await run(environment.client, fakes, run_id="not-divided", kind="map_reduce")
    assert ledger_of(fakes) == [("failed", "ServiceUnavailable", 1), ("mapped", "", 1)]
