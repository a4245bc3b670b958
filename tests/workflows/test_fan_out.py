"""The fan-out workflow: perspectives at once, a synthesis that sees them all, and what happens without one of them."""

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import FanOutOptions, Outcome, ReplyStatus
from tests.workflows.fakes import ScriptedActivities, answered, reply, step
from tests.workflows.harness import events, failure, run
from tests.workflows.map_reductions import failing, most_open, unless_step

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED, INVALID = ReplyStatus.REFUSED, ReplyStatus.INVALID
NAMES = ("decisions", "actions", "risks")


def meeting(special: dict[str, ReplyStatus | Exception] | None = None, *, partial: bool = False) -> ScriptedActivities:
    return ScriptedActivities(
        rule=unless_step(special) if special else answered,
        steps=[*map(step, NAMES), step("brief")],
        pattern="fan_out",
        options=FanOutOptions(partial=partial),
    )


def states(fakes: ScriptedActivities) -> dict[str, tuple[str, str]]:
    [stored] = fakes.stored
    return {entry.name: (entry.state.value, entry.error) for entry in stored.ledger}


async def test_perspectives_run_at_once_and_the_synthesis_sees_them_all(environment: WorkflowEnvironment) -> None:
    fakes = meeting()
    result = await run(environment.client, fakes, run_id="at-once", kind="fan_out")
    assert (result.outcome, result.calls) == (Outcome.DONE, 4)
    *first, brief = fakes.asked
    assert {request.step.name for request in first} == set(NAMES)
    assert all(request.reads_text and not request.given for request in first)
    assert [(given.label, given.answer.sha256) for given in brief.given] == [(name, f"{name}(text)") for name in NAMES]
    assert (brief.reads_text, result.answer and result.answer.sha256) == (
        False,
        "brief(decisions(text),actions(text),risks(text))",
    )
    assert most_open(await events(environment.client, "at-once")) == 3
    assert states(fakes) == dict.fromkeys(NAMES, ("answered", ""))


@pytest.mark.parametrize(
    ("how", "kind", "state"),
    [
        (REFUSED, "RefusedAnswer", "refused"),
        (failing("ProviderGarbled"), "ProviderGarbled", "failed"),
        (INVALID, "InvalidAnswer", "failed"),
    ],
)
async def test_a_perspective_may_be_missing_where_the_job_says_so(
    environment: WorkflowEnvironment, how: ReplyStatus | Exception, kind: str, state: str
) -> None:
    fakes = meeting({"actions": how}, partial=True)
    result = await run(environment.client, fakes, run_id=f"partial-{kind}", kind="fan_out")
    assert (result.outcome, result.missing) == (Outcome.PARTIAL, (f"actions: {kind}",))
    assert [given.label for given in fakes.asked[-1].given] == ["decisions", "risks"]
    assert states(fakes)["actions"] == (state, kind)
    assert result.problems == ()


async def test_without_the_jobs_leave_one_missing_perspective_is_for_a_person(
    environment: WorkflowEnvironment,
) -> None:
    fakes = meeting({"actions": REFUSED})
    result = await run(environment.client, fakes, run_id="for-a-person", kind="fan_out")
    assert (result.outcome, result.error and result.error.type) == (Outcome.NEEDS_APPROVAL, "IncompleteAnswer")
    assert "brief" not in {request.step.name for request in fakes.asked}
    assert len(states(fakes)) == 3


@pytest.mark.parametrize("partial", [False, True])
async def test_nothing_to_synthesise_fails_by_name(environment: WorkflowEnvironment, partial: bool) -> None:
    failures: dict[str, ReplyStatus | Exception] = dict.fromkeys(NAMES, failing("ProviderGarbled"))
    fakes = meeting(failures, partial=partial)
    error = await failure(environment.client, fakes, run_id=f"nothing-{partial}", kind="fan_out")
    assert (error.type, error.message.startswith("3 of 3 parts gave no answer")) == ("ProviderGarbled", True)
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]


async def test_a_second_try_is_told(environment: WorkflowEnvironment) -> None:
    fakes = meeting({"risks": INVALID}, partial=True)
    fakes.fixes = [reply(cost="0", calls=0)]
    await run(environment.client, fakes, run_id="mended", kind="fan_out")
    assert states(fakes)["risks"] == ("repaired", "")


async def test_a_plan_without_options_is_named(environment: WorkflowEnvironment) -> None:
    fakes = meeting()
    fakes.options = None
    error = await failure(environment.client, fakes, run_id="no-options", kind="fan_out")
    assert (error.type, fakes.asked) == ("InvalidRequest", [])
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]
