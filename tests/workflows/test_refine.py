"""The refine workflow: when rounds end, which attempt wins, and what is said of one that isn't good enough."""

from collections.abc import Sequence

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import AskRequest, Outcome, RefineOptions, Reply, ReplyStatus, RunResult
from tests.workflows.fakes import ScriptedActivities, answered, blob, reply, step
from tests.workflows.harness import failure, run
from tests.workflows.map_reductions import failing

pytestmark = pytest.mark.asyncio(loop_scope="module")
Score = float | str | ReplyStatus | Exception
REFUSED, INVALID = ReplyStatus.REFUSED, ReplyStatus.INVALID


def note(
    scores: Sequence[Score], attempts: Sequence[str | ReplyStatus | Exception] = ("a", "b", "c", "d"), **options: object
) -> ScriptedActivities:
    """What each evaluation says, and what each generation gives: the name of an answer, or a failure."""
    evaluations, generations = iter(scores), iter(attempts)

    def rule(request: AskRequest) -> Reply | Exception:
        said = next(evaluations) if request.step.name == "evaluate" else next(generations)
        if isinstance(said, Exception):
            return said
        if isinstance(said, ReplyStatus):
            return reply(said)
        if request.step.name == "evaluate":
            return answered(request, told={"score": said})
        return answered(request).model_copy(update={"answer": blob(str(said))})

    return ScriptedActivities(
        rule=rule,
        steps=[step("generate", repairs=0), step("evaluate", repairs=0)],
        pattern="refine",
        options=RefineOptions.model_validate({"bar": 0.8, **options}),
    )


async def refined(environment: WorkflowEnvironment, fakes: ScriptedActivities, run_id: str) -> RunResult:
    return await run(environment.client, fakes, run_id=run_id, kind="refine")


def rounds(fakes: ScriptedActivities) -> list[tuple[str, float | None, str, bool]]:
    [stored] = fakes.stored
    assert [entry.name for entry in stored.ledger] == [f"round {at + 1}" for at in range(len(stored.ledger))]
    return [(entry.state.value, entry.score, entry.error, entry.is_best) for entry in stored.ledger]


@pytest.mark.parametrize(
    ("scores", "best", "flags"),
    [
        pytest.param([0.8], "a", (), id="good enough at once"),
        pytest.param([0.5, 0.9], "b", (), id="good enough in the second round"),
        pytest.param([0.5, 0.7, 0.6], "b", ("below the bar: 0.70 of 0.80",), id="the best is not the last"),
        pytest.param([0.6, 0.6, 0.6], "a", ("below the bar: 0.60 of 0.80",), id="the earliest of equals"),
        pytest.param([0, 0, 0], "a", ("below the bar: 0.00 of 0.80",), id="always 0"),
        pytest.param([-1, -0.5, -1], "a", ("below the bar: 0.00 of 0.80",), id="below any scale"),
    ],
)
async def test_the_best_attempt_wins(
    environment: WorkflowEnvironment, scores: list[float], best: str, flags: tuple[str, ...]
) -> None:
    fakes = note(scores)
    result = await refined(environment, fakes, f"best-{scores}")
    assert (result.outcome, result.answer, result.flags) == (Outcome.DONE, blob(best), flags)
    assert result.calls == 2 * len(scores)
    assert [each[3] for each in rounds(fakes)] == [name == best for name in "abc"[: len(scores)]]
    assert [each[1] for each in rounds(fakes)] == [max(score, 0) for score in scores]


async def test_a_round_sees_the_attempt_before_and_what_was_said_of_it(environment: WorkflowEnvironment) -> None:
    fakes = note([0.5, 0.6], rounds=2)
    await refined(environment, fakes, "sees")
    given = [[(each.label, each.answer.sha256) for each in request.given] for request in fakes.asked]
    assert given == [
        [],
        [("attempt", "a")],
        [("attempt", "a"), ("evaluation", "evaluate(a)")],
        [("attempt", "b")],
    ]
    assert all(request.reads_text for request in fakes.asked)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (REFUSED, "RefusedAnswer"),
        (INVALID, "InvalidAnswer"),
        (failing("ProviderGarbled"), "ProviderGarbled"),
        ("very good", "InvalidAnswer"),
    ],
)
@pytest.mark.parametrize("below", ["flag", "approval"])
async def test_an_evaluator_that_fails_is_told(
    environment: WorkflowEnvironment, said: Score, kind: str, below: str
) -> None:
    fakes = note([said], below=below)
    result = await refined(environment, fakes, f"evaluator-{below}-{said}"[:80])
    told = f"not evaluated: {kind}"
    assert (result.answer, result.calls + isinstance(said, Exception)) == (blob("a"), 2)
    assert rounds(fakes) == [("answered", None, kind, True)]
    if below == "flag":
        assert (result.outcome, result.flags, result.problems) == (Outcome.DONE, (told,), ())
    else:
        assert (result.outcome, result.error and result.error.type) == (Outcome.NEEDS_APPROVAL, "BelowBar")
        assert result.error is not None
        assert result.error.message == f"{told}; a person must look"


async def test_an_evaluator_that_fails_later_leaves_the_best_so_far(environment: WorkflowEnvironment) -> None:
    fakes = note([0.5, REFUSED])
    result = await refined(environment, fakes, "fails-later")
    assert (result.answer, result.flags) == (
        blob("a"),
        ("not evaluated: RefusedAnswer", "below the bar: 0.50 of 0.80"),
    )
    assert rounds(fakes) == [("answered", 0.5, "", True), ("answered", None, "RefusedAnswer", False)]


async def test_below_the_bar_a_person_gets_to_see_the_best(environment: WorkflowEnvironment) -> None:
    fakes = note([0.6, 0.7, 0.5], below="approval")
    result = await refined(environment, fakes, "below")
    assert (result.outcome, result.answer) == (Outcome.NEEDS_APPROVAL, blob("b"))
    assert result.error is not None
    assert (result.error.type, result.error.message) == ("BelowBar", "below the bar: 0.70 of 0.80; a person must look")


@pytest.mark.parametrize(("attempts", "calls"), [(["a", "a"], 3), (["a", "b", "a"], 5)])
async def test_the_same_attempt_again_ends_it(
    environment: WorkflowEnvironment, attempts: list[str], calls: int
) -> None:
    fakes = note([0.5, 0.4], attempts, rounds=9)
    result = await refined(environment, fakes, f"same-{calls}")
    assert (result.outcome, result.answer, result.calls) == (Outcome.DONE, blob("a"), calls)
    assert rounds(fakes)[-1] == ("answered", 0.5, "", False)


@pytest.mark.parametrize(
    ("said", "state"), [(REFUSED, "refused"), (failing("ProviderGarbled"), "failed"), (INVALID, "failed")]
)
async def test_a_later_attempt_that_fails_leaves_the_best_so_far(
    environment: WorkflowEnvironment, said: ReplyStatus | Exception, state: str
) -> None:
    fakes = note([0.5], ["a", said])
    result = await refined(environment, fakes, f"later-{state}-{said}"[:80])
    assert (result.outcome, result.answer, result.problems) == (Outcome.DONE, blob("a"), ())
    assert [(each[0], each[3]) for each in rounds(fakes)] == [("answered", True), (state, False)]


async def test_a_first_attempt_that_is_refused_is_for_a_person(environment: WorkflowEnvironment) -> None:
    result = await refined(environment, note([], [REFUSED]), "first-refused")
    assert (result.outcome, result.answer) == (Outcome.NEEDS_APPROVAL, None)


async def test_a_plan_without_options_is_named(environment: WorkflowEnvironment) -> None:
    fakes = note([0.9])
    fakes.options = None
    error = await failure(environment.client, fakes, run_id="no-options", kind="refine")
    assert (error.type, fakes.asked) == ("InvalidRequest", [])
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]
