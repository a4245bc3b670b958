"""The map-reduce workflow on documents that one run reads: calls, tree, provenance, ledger, partial answers."""

from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import LedgerEntry, Outcome, PartState, ReplyStatus, RunResult
from tests.workflows.fakes import ScriptedActivities
from tests.workflows.harness import events, failure, run
from tests.workflows.map_reductions import document, failing, most_open, numbers, read, unless

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED, TRUNCATED, INVALID = ReplyStatus.REFUSED, ReplyStatus.TRUNCATED, ReplyStatus.INVALID


async def reduced(environment: WorkflowEnvironment, fakes: ScriptedActivities, run_id: str) -> RunResult:
    return await run(environment.client, fakes, run_id=run_id, kind="map_reduce")


async def failed(environment: WorkflowEnvironment, fakes: ScriptedActivities, run_id: str) -> tuple[str, str]:
    error = await failure(environment.client, fakes, run_id=run_id, kind="map_reduce")
    return str(error.type), error.message


def states(fakes: ScriptedActivities) -> dict[str, str]:
    [stored] = fakes.stored
    return {entry.name: entry.state.value for entry in stored.ledger}


# --- calls and tree ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("schema", "answer", "calls"), [("s1", "map(chunk-1)", 1), ("s2", "reduce(map(chunk-1))", 2)])
async def test_one_chunk_is_reduced_only_into_another_schema(
    environment: WorkflowEnvironment, schema: str, answer: str, calls: int
) -> None:
    fakes = document(1, reduce_schema=schema)
    result = await reduced(environment, fakes, f"one-chunk-{schema}")
    assert (result.outcome, result.calls, result.answer and result.answer.sha256) == (Outcome.DONE, calls, answer)


async def test_calls_in_flight_are_bounded(environment: WorkflowEnvironment) -> None:
    fakes = document(20, at_once=3, fan_in=2)
    result = await reduced(environment, fakes, "bounded")
    assert result.calls == 20 + 10 + 5 + 2 + 1 + 1
    history = await events(environment.client, "bounded")
    assert most_open(history) == 3


async def test_the_tree_is_shaped_by_fan_in(environment: WorkflowEnvironment) -> None:
    fakes = document(9, fan_in=4)
    result = await reduced(environment, fakes, "by-fan-in")
    assert [numbers(each) for each in read(fakes, "map")] == [[number] for number in range(1, 10)]
    leaves = [f"map(chunk-{number})" for number in range(1, 10)]
    assert sorted(len(each.split("reduce")) for each in read(fakes, "reduce")) == [1, 1, 3]
    first, second = f"reduce({','.join(leaves[:4])})", f"reduce({','.join(leaves[4:8])})"
    assert result.answer is not None
    assert result.answer.sha256 == f"reduce({first},{second},{leaves[8]})"  # the one left over goes up as it is
    [stored] = fakes.stored
    assert (stored.result, sum(each.calls for each in stored.spent)) == (result, 9 + 3)


async def test_the_tree_is_shaped_by_tokens(environment: WorkflowEnvironment) -> None:
    fakes = document(6, unless({}, tokens=40), reduce_tokens=100)
    await reduced(environment, fakes, "by-tokens")
    reads = [(numbers(each), each.count("reduce")) for each in read(fakes, "reduce")]
    assert sorted(reads) == [
        ([1, 2], 0),
        ([1, 2, 3, 4], 2),
        ([1, 2, 3, 4, 5, 6], 4),
        ([3, 4], 0),
        ([5, 6], 0),
    ]


async def test_chunks_are_known_through_every_level(environment: WorkflowEnvironment) -> None:
    fakes = document(8, fan_in=2)
    await reduced(environment, fakes, "provenance")
    for request in fakes.asked:
        name = ",".join(given.answer.sha256 for given in request.given) or request.text.sha256
        assert list(request.sources) == numbers(name)
        assert request.reads_text is (request.step.name == "map")
    labels = {tuple(given.label for given in request.given) for request in fakes.asked if request.given}
    assert labels == {
        *((f"chunk {number}", f"chunk {number + 1}") for number in (1, 3, 5, 7)),
        *((f"chunks {number} to {number + 1}", f"chunks {number + 2} to {number + 3}") for number in (1, 5)),
        ("chunks 1 to 4", "chunks 5 to 8"),
    }


# --- the ledger -------------------------------------------------------------------------------------------------------


async def test_every_chunk_has_its_final_state(environment: WorkflowEnvironment) -> None:
    special: dict[str, ReplyStatus | Exception] = {
        "chunk-2": REFUSED,
        "chunk-3": TRUNCATED,
        "chunk-4": failing("ProviderGarbled"),
        "chunk-5": INVALID,
        "chunk-12": failing("ContentRefused"),
    }
    fakes = document(12, unless(special), tokens=100, partial=True)
    fakes.fixes = []
    result = await reduced(environment, fakes, "every-state")
    assert result.outcome is Outcome.PARTIAL
    assert result.missing == (
        "chunk 2, page 1: RefusedAnswer",
        "chunk 3, page 1: TruncatedAnswer",
        "chunk 4, page 1: ProviderGarbled",
        "chunk 5, page 1: InvalidAnswer",
        "chunk 12, page 2: ContentRefused",
    )
    [stored] = fakes.stored
    assert [entry.number for entry in stored.ledger] == list(range(1, 13))
    others = dict.fromkeys([f"chunk {number}" for number in (1, *range(6, 12))], "mapped")
    ended = {"chunk 2": "refused", "chunk 3": "truncated", "chunk 4": "failed", "chunk 5": "failed"}
    assert states(fakes) == {**others, **ended, "chunk 12": "refused"}
    assert stored.ledger[11] == LedgerEntry(
        name="chunk 12",
        state=PartState.REFUSED,
        error="ContentRefused",
        number=12,
        start=11_000,
        end=12_000,
        first_page=2,
        last_page=2,
    )
    assert [numbers(each) for each in read(fakes, "reduce")] == [[1, 6, 7, 8, 9, 10, 11]]


async def test_a_chunk_with_a_second_try_is_repaired(environment: WorkflowEnvironment) -> None:
    fakes = document(2)
    said = iter([INVALID])

    def rule(request: Any) -> Any:
        status = next(said, None) if request.text.sha256 == "chunk-2" else None
        return unless({"chunk-2": status} if status else {})(request)

    fakes.rule = rule
    result = await reduced(environment, fakes, "second-try")
    assert (states(fakes), result.repairs) == ({"chunk 1": "mapped", "chunk 2": "repaired"}, 2)


@pytest.mark.parametrize(
    ("special", "kind"),
    [
        pytest.param({"chunk-1": REFUSED, "chunk-2": INVALID}, "IncompleteAnswer", id="all for a person"),
        pytest.param({"chunk-1": REFUSED, "chunk-2": failing("ProviderGarbled")}, "ProviderGarbled", id="one serious"),
        pytest.param({"chunk-1": REFUSED, "chunk-2": TRUNCATED}, "TruncatedAnswer", id="one cut off"),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
async def test_without_all_chunks_there_is_no_answer(
    environment: WorkflowEnvironment, special: dict[str, ReplyStatus | Exception], kind: str, count: int
) -> None:
    """A job that allows partial answers has none either when no chunk (of two) gave one."""
    fakes = document(count, unless(special), tokens=100, partial=count == 2)
    run_id = f"incomplete-{kind}-{count}"
    if kind == "IncompleteAnswer":
        result = await reduced(environment, fakes, run_id)
        error = (result.error.type, result.error.message) if result.error else None
        assert (result.outcome, result.answer) == (Outcome.NEEDS_APPROVAL, None)
    else:
        error = await failed(environment, fakes, run_id)
    told = f"2 of {count} parts gave no answer, first chunk 1; the ledger names them all"
    assert error == (kind, told)
    [stored] = fakes.stored
    assert (len(stored.ledger), stored.result.error and stored.result.error.type) == (count, kind)
    assert read(fakes, "reduce") == []


async def test_a_reduce_that_fails_ends_the_run_with_its_ledger(environment: WorkflowEnvironment) -> None:
    fakes = document(3, unless({"reduce": failing("ProviderGarbled")}), partial=True)
    assert (await failed(environment, fakes, "reduce-fails"))[0] == "ProviderGarbled"
    [stored] = fakes.stored
    assert (stored.result.calls, list(states(fakes).values())) == (3, ["mapped"] * 3)


async def test_a_document_without_text_is_named(environment: WorkflowEnvironment) -> None:
    fakes = document(0)
    assert await failed(environment, fakes, "blank") == ("EmptyDocument", "the document has no text")
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]


async def test_a_plan_without_options_is_named(environment: WorkflowEnvironment) -> None:
    fakes = document(1)
    fakes.options = None
    told = "job 'invoice' has no options of a map_reduce"
    assert await failed(environment, fakes, "no-options") == ("InvalidRequest", told)
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]
