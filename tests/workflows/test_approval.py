"""Approvals on the time-skipping server: who decides, what counts, and what the run makes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import (
    ActKind,
    Approval,
    ApprovalState,
    Assessment,
    ErrorInfo,
    EventKind,
    Outcome,
    ReplyStatus,
    Risk,
    RunResult,
    Verdict,
)
from engross.names import DECIDE
from tests.workflows.approvals import ScriptedPeople, act, approval_of, decide, refusal, state_of, value
from tests.workflows.fakes import ScriptedActivities, blob, reply
from tests.workflows.harness import REQUEST, start, until, workers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Waiting:
    """A run that waits for people, and what they are shown."""

    client: Client
    run_id: str
    run: WorkflowHandle[object, RunResult]
    people: ScriptedPeople
    fakes: ScriptedActivities

    async def state(self) -> ApprovalState:
        return await state_of(self.client, self.run_id)

    async def shown(self) -> str:
        return (await self.state()).shown

    async def act(self, kind: ActKind, by: str, **more: object) -> str:
        """`counted`, or the type of the refusal."""
        said = act(kind, by, **{"shown": await self.shown(), **more})  # type: ignore[arg-type]  # any field of an act
        return await refusal(self.client, self.run_id, said)


@asynccontextmanager
async def waiting(
    client: Client,
    run_id: str,
    policy: Approval | None = None,
    *,
    people: ScriptedPeople | None = None,
    fakes: ScriptedActivities | None = None,
    **request: object,
) -> AsyncIterator[Waiting]:
    """A run of a chain of one step whose answer waits for people."""
    people = people or ScriptedPeople()
    fakes = fakes or ScriptedActivities()
    fakes.approval = policy or Approval()
    async with workers(client, fakes, people):
        asked = {**REQUEST, "submitter": "sam", **request}
        run = await client.start_workflow("chain", asked, id=run_id, task_queue="workflows", result_type=RunResult)
        await until(lambda: EventKind.OPENED in people.events)
        yield Waiting(client, run_id, run, people, fakes)


def risk(level: Risk) -> ScriptedPeople:
    return ScriptedPeople(assessments=[Assessment(risk=level, reasons=("large",))])


async def test_low_risk_asks_nobody(environment: WorkflowEnvironment) -> None:
    fakes, people = ScriptedActivities(approval=Approval()), risk(Risk.LOW)
    async with workers(environment.client, fakes, people):
        result = await (await start(environment.client, "low")).result()
    assert (result.outcome, result.approval) == (Outcome.DONE, None)
    assert people.events == []


async def test_one_person_approves_what_was_shown(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "one") as run:
        state = await run.state()
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        result = await run.run.result()
    assert (result.outcome, result.answer) == (Outcome.DONE, blob("answer"))
    assert result.approval is not None
    assert (result.approval.by, result.approval.shown) == (("ann",), state.shown)
    assert run.people.events == [EventKind.OPENED, EventKind.APPROVED]
    assert run.people.notes[-1].state.verdict is Verdict.APPROVED
    assert run.fakes.stored[0].result.approval == result.approval


async def test_high_risk_needs_two_different_people(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "two", people=risk(Risk.HIGH)) as run:
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        assert await run.act(ActKind.APPROVE, "ann", key="again") == "DuplicateDecision"
        assert (await run.state()).verdict is Verdict.OPEN
        assert await run.act(ActKind.APPROVE, "bob") == "counted"
        result = await run.run.result()
    assert result.approval is not None
    assert result.approval.by == ("ann", "bob")


async def test_critical_risk_needs_a_senior_among_them(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "critical", people=risk(Risk.CRITICAL)) as run:
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        assert await run.act(ActKind.APPROVE, "bob") == "counted"
        assert await run.act(ActKind.APPROVE, "cid") == "NotAuthorised"
        assert (await run.state()).verdict is Verdict.OPEN
        assert await run.act(ActKind.APPROVE, "sue") == "counted"
        result = await run.run.result()
    assert result.outcome is Outcome.DONE


async def test_stale_self_and_unauthorised_decisions_are_refused(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "refused") as run:
        assert await run.act(ActKind.APPROVE, "ann", shown="0" * 64) == "StaleDecision"
        assert await run.act(ActKind.APPROVE, "sam") == "SelfDecision"
        assert await run.act(ActKind.APPROVE, "mallory") == "NotAuthorised"
        assert await run.act(ActKind.APPROVE, "Not A Name") == "InvalidRequest"
        assert await run.act(ActKind.APPROVE, "ann", approval_id="another") == "InvalidRequest"
        assert await run.act(ActKind.REJECT, "ann") == "NotAcceptable"
        assert (await run.state()).verdict is Verdict.OPEN
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        await run.run.result()
    # What a validator refuses never gets into the history; what is refused after a look at the rights is in the audit.
    assert run.people.events == [EventKind.OPENED, EventKind.REFUSED, EventKind.APPROVED]


async def test_the_same_click_twice_is_one_decision(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "twice", people=risk(Risk.HIGH)) as run:
        said = act(ActKind.APPROVE, "ann", await run.shown(), key="click")
        first, second = await decide(run.client, run.run_id, said), await decide(run.client, run.run_id, said)
        assert (first.given, second.given) == (1, 1)
        # Another update with the same key, as of a client that lost its answer and has started anew.
        third = await approval_of(run.client, run.run_id).execute_update(DECIDE, said, id="other")
        assert third["is_repeat"]
        stolen = said.model_copy(update={"by": "bob"})
        assert await refusal(run.client, run.run_id, stolen.model_copy(update={"key": "click"})) in (
            "counted",  # the server answers by the id of the update, with the receipt of the first
            "DuplicateDecision",
        )
        assert len((await run.state()).given) == 1
        assert await run.act(ActKind.APPROVE, "bob") == "counted"
        await run.run.result()


async def test_a_rejected_answer_is_not_stored_as_done(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "rejected") as run:
        assert await run.act(ActKind.REJECT, "ann", note=blob("why")) == "counted"
        result = await run.run.result()
    assert (result.outcome, result.answer) == (Outcome.REJECTED, None)
    assert result.error is not None
    assert result.error.type == "Rejected"


async def test_a_correction_takes_the_place_of_the_answer_and_needs_the_others(
    environment: WorkflowEnvironment,
) -> None:
    async with waiting(environment.client, "corrected", people=risk(Risk.HIGH)) as run:
        before = await run.shown()
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        assert await run.act(ActKind.CORRECT, "bob", value=value()) == "counted"
        state = await run.state()
        assert state.shown != before
        assert [consent.by for consent in state.given] == ["bob"]  # Ann approved something else
        assert await run.act(ActKind.APPROVE, "ann", shown=before, key="late") == "StaleDecision"
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        result = await run.run.result()
    assert (result.outcome, result.answer) == (Outcome.DONE, value())
    assert result.approval is not None
    assert result.approval.is_corrected
    assert run.people.notes[-1].state.verdict is Verdict.CORRECTED
    assert run.people.notes[-1].state.changed == ("total",)


async def test_feedback_makes_another_attempt_and_a_new_round(environment: WorkflowEnvironment) -> None:
    second = reply().model_copy(update={"answer": blob("second")})
    fakes = ScriptedActivities(replies=[reply(), second])
    async with waiting(environment.client, "feedback", fakes=fakes) as run:
        before = await run.shown()
        assert await run.act(ActKind.FEEDBACK, "ann", note=blob("look-at-page-2")) == "counted"
        await until(lambda: run.people.events.count(EventKind.OPENED) == 2)
        assert await run.act(ActKind.APPROVE, "ann", shown=before, key="old") == "StaleDecision"
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        result = await run.run.result()
    given = [each.answer.sha256 for each in fakes.asked[1].given]
    assert given == ["answer", "look-at-page-2"]
    assert result.answer == blob("second")
    assert result.approval is not None
    assert result.approval.rounds == 2
    assert result.calls == 2
    assert run.people.notes[-1].request.rounds[0].by == "ann"


async def test_rounds_are_bounded(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "bounded", Approval(rounds=0)) as run:
        assert await run.act(ActKind.FEEDBACK, "ann", note=blob("again")) == "NotAcceptable"
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        await run.run.result()


async def test_what_no_model_could_answer_a_person_can(environment: WorkflowEnvironment) -> None:
    fakes = ScriptedActivities(replies=[reply(ReplyStatus.INVALID), reply(ReplyStatus.INVALID)])
    async with waiting(environment.client, "invalid", fakes=fakes) as run:
        request = run.people.notes[0].request
        assert (request.answer, request.draft) == (None, blob("draft"))
        assert request.error is not None
        assert request.error.type == "InvalidAnswer"
        assert await run.act(ActKind.APPROVE, "ann") == "NotAcceptable"
        assert await run.act(ActKind.CORRECT, "ann", value=value()) == "counted"
        result = await run.run.result()
    assert (result.outcome, result.answer) == (Outcome.DONE, value())


async def test_too_little_confidence_stops_without_asking(environment: WorkflowEnvironment) -> None:
    people = ScriptedPeople(assessments=[Assessment(risk=Risk.MEDIUM, stops=True, reasons=("confidence 0.10",))])
    fakes = ScriptedActivities(approval=Approval())
    async with workers(environment.client, fakes, people):
        result = await (await start(environment.client, "unsure")).result()
    assert (result.outcome, result.error) == (
        Outcome.REJECTED,
        ErrorInfo(type="TooUnsure", message="confidence 0.10"),
    )


async def test_cancelling_the_run_withdraws_the_approval(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "withdrawn") as run:
        await run.run.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await run.run.result()
        assert isinstance(caught.value.cause, CancelledError)
        await until(lambda: EventKind.WITHDRAWN in run.people.events)
    assert run.fakes.stored[0].result.outcome is Outcome.CANCELLED
    assert run.people.notes[-1].state.verdict is Verdict.WITHDRAWN


async def test_two_people_after_a_reminder_and_an_escalation(environment: WorkflowEnvironment) -> None:
    policy = Approval(deadline_hours=72, remind_hours=24, escalate_to="board", escalate_hours=48)
    async with waiting(environment.client, "escalated", policy, people=risk(Risk.HIGH)) as run:
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        await environment.sleep(timedelta(hours=49))
        await until(lambda: EventKind.ESCALATED in run.people.events)
        state = await run.state()
        assert state.asked == ("approvers", "board")
        assert state.due_at is not None
        assert state.opened_at is not None
        assert state.due_at - state.opened_at > timedelta(hours=119)  # the board has 72 hours of its own
        assert await run.act(ActKind.APPROVE, "bob") == "counted"
        result = await run.run.result()
    assert result.outcome is Outcome.DONE
    events = run.people.events
    assert events[:2] == [EventKind.OPENED, EventKind.APPROVED]
    assert EventKind.REMINDED in events


async def test_a_deadline_can_be_extended(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "extended", Approval(deadline_hours=10, remind_hours=500)) as run:
        assert await run.act(ActKind.EXTEND, "ann", hours=24.0) == "counted"
        await environment.sleep(timedelta(hours=12))
        assert (await run.state()).verdict is Verdict.OPEN
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        assert (await run.run.result()).outcome is Outcome.DONE


async def test_claims_and_delegation(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "claimed") as run:
        assert await run.act(ActKind.CLAIM, "ann") == "counted"
        assert await run.act(ActKind.CLAIM, "bob") == "NotAcceptable"
        assert await run.act(ActKind.RELEASE, "bob") == "NotAcceptable"
        assert await run.act(ActKind.DELEGATE, "ann", to="bob") == "counted"
        state = await run.state()
        assert (state.claimed_by, state.asked) == ("", ("approvers", "bob"))
        assert await run.act(ActKind.CLAIM, "bob") == "counted"
        assert await run.act(ActKind.APPROVE, "bob") == "counted"
        await run.run.result()
    assert EventKind.DELEGATED in run.people.events


async def test_a_signal_does_the_same_and_its_refusal_shows(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "signalled") as run:
        handle = approval_of(run.client, run.run_id)
        await handle.signal(DECIDE, act(ActKind.APPROVE, "sam", await run.shown()))
        await handle.signal(DECIDE, act(ActKind.APPROVE, "mallory", await run.shown()))
        await handle.signal(DECIDE, {"kind": "aprove"})
        await until(lambda: run.people.events.count(EventKind.REFUSED) == 3)
        refused = [(each.by, each.error.type) for each in (await run.state()).refusals]
        assert sorted(refused) == [("", "InvalidRequest"), ("mallory", "NotAuthorised"), ("sam", "SelfDecision")]
        await handle.signal(DECIDE, act(ActKind.APPROVE, "ann", await run.shown()))
        assert (await run.run.result()).outcome is Outcome.DONE


async def test_of_many_at_once_one_counts(environment: WorkflowEnvironment) -> None:
    async with waiting(environment.client, "race") as run:
        shown = await run.shown()
        kinds = [ActKind.APPROVE, ActKind.REJECT] * 4
        said = [
            act(kind, f"p{number}", shown, key=f"k{number}", reason="no" if kind is ActKind.REJECT else "")
            for number, kind in enumerate(kinds)
        ]
        ends = await asyncio.gather(*(refusal(run.client, run.run_id, each) for each in said), return_exceptions=True)
        result = await run.run.result()
    assert ends.count("counted") == 1
    assert result.outcome in (Outcome.DONE, Outcome.REJECTED)
    decided = [event for event in run.people.events if event in (EventKind.APPROVED, EventKind.REJECTED)]
    assert len(decided) == 1


# The last one: after a workflow has left children behind, `sleep` of the time-skipping server no longer returns.
async def test_nobody_in_time_is_a_rejection(environment: WorkflowEnvironment) -> None:
    people = ScriptedPeople(has_channels=True)
    policy = Approval(deadline_hours=72, remind_hours=24)
    async with waiting(environment.client, "expired", policy, people=people) as run:
        result = await run.run.result()  # skips three days
        await until(lambda: len(people.notices) == 5)
        for notice in people.notices:  # what is left open would hold up the time of the next test
            name = f"{notice.approval_id}-{notice.kind.value}-{notice.state.revision}"
            await run.client.get_workflow_handle(name).result()
    assert result.outcome is Outcome.REJECTED
    assert result.error is not None
    assert result.error.type == "ApprovalExpired"
    assert run.people.events == [EventKind.OPENED, EventKind.REMINDED, EventKind.REMINDED, EventKind.EXPIRED]
    sent = [notice.kind for notice in people.notices]
    assert sent.count(EventKind.REMINDED) == 2
