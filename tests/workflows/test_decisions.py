"""The rules of an approval by themselves: whatever people do in whatever order, nothing is approved too easily."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from engross.contracts import (
    Act,
    ActChecked,
    ActKind,
    Approval,
    ApprovalRequest,
    ErrorInfo,
    EventKind,
    Risk,
    Round,
    Verdict,
)
from tests.workflows.fakes import blob
from workflows.decisions import Decisions, key_of, shown_of

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
ID = "invoice-acme-1-approval"
APPROVED = (Verdict.APPROVED, Verdict.CORRECTED)


def request(risk: Risk = Risk.MEDIUM, **more: object) -> ApprovalRequest:
    values = {"job": "invoice", "tenant": "acme", "submitter": "sam", "answer": blob("answer"), "risk": risk}
    return ApprovalRequest.model_validate({**values, **more})


def opened(risk: Risk = Risk.MEDIUM, **more: object) -> Decisions:
    return Decisions(ID, request(risk, **more), NOW)


def said(kind: ActKind, by: str, decisions: Decisions, **more: object) -> Act:
    return Act.model_validate({"kind": kind, "by": by, "shown": decisions.state.shown, **more})


def refused(decisions: Decisions, act: Act, checked: ActChecked | None = None, now: datetime = NOW) -> str:
    try:
        decisions.count(act, checked or ActChecked(), now)
    except ApplicationError as error:
        return error.type or ""
    return ""


# --- what is shown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"document": blob("another")},
        {"answer": blob("another")},
        {"risk": Risk.HIGH},
        {"reasons": ("amount",)},
        {"job": "receipt"},
        {"error": ErrorInfo(type="BelowBar", message="0.5")},
        {"submitter": "ann"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_on_the_page_changes_what_is_shown(change: dict[str, object]) -> None:
    before, after = request(), request(**{"risk": Risk.MEDIUM, **change})  # type: ignore[arg-type]  # any field
    assert shown_of(ID, before, before.answer) != shown_of(ID, after, after.answer)
    assert shown_of(ID, before, before.answer) == shown_of(ID, request(), before.answer)
    assert shown_of("another-approval", before, before.answer) != shown_of(ID, before, before.answer)


# --- whatever people do -----------------------------------------------------------------------------------------

PEOPLE = ("ann", "bob", "cid", "sue", "sam")
ACTS = st.tuples(
    st.sampled_from(list(ActKind)),
    st.sampled_from(PEOPLE),
    st.sampled_from(["now", "first", "never"]),  # which content they saw
    st.booleans(),  # whether their rights hold
)


@settings(max_examples=300, deadline=None)
@given(risk=st.sampled_from([Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL]), acts=st.lists(ACTS, max_size=14))
def test_nothing_is_approved_by_too_few_or_by_the_wrong_people(
    risk: Risk, acts: list[tuple[ActKind, str, str, bool]]
) -> None:
    decisions = opened(risk, can_ask_again=True)
    first = decisions.state.shown
    allowed: dict[str, set[str]] = {}  # by what was shown: who had the right, and approved or made it
    for number, (kind, by, saw, may) in enumerate(acts):
        shown = {"now": decisions.state.shown, "first": first, "never": "0" * 64}[saw]
        value = blob(f"value-{number}")
        act = Act(kind=kind, by=by, shown=shown, key=str(number), reason="why", value=value, to="zoe", hours=1.0)
        refusal = None if may else ErrorInfo(type="NotAuthorised", message="no")
        if refused(decisions, act, ActChecked(refusal=refusal, is_senior=by == "sue", value=value)):
            continue
        assert may
        assert by != "sam"
        if kind.decides:
            assert saw == "now" or shown == first
        if kind in (ActKind.APPROVE, ActKind.CORRECT):
            allowed.setdefault(decisions.state.shown, set()).add(by)
    state = decisions.state
    assert len({consent.by for consent in state.given}) == len(state.given)
    if state.verdict in APPROVED:
        people = {consent.by for consent in state.given}
        assert people <= allowed[state.shown]
        assert len(people) >= risk.approvers
        assert "sue" in people or not risk.needs_senior
        assert (state.verdict is Verdict.CORRECTED) == (state.answer != blob("answer"))
    revisions = [event.number for event in decisions.news]
    assert revisions == sorted(set(revisions))


def test_going_back_to_the_proposed_answer_is_no_correction() -> None:
    decisions = opened(Risk.HIGH)
    first = decisions.state.shown
    assert not refused(decisions, said(ActKind.CORRECT, "ann", decisions, value=blob("x")), ActChecked(value=blob("x")))
    back = ActChecked(value=blob("answer"))
    assert not refused(decisions, said(ActKind.CORRECT, "bob", decisions, value=blob("answer")), back)
    assert decisions.state.shown == first
    assert not refused(decisions, said(ActKind.APPROVE, "ann", decisions))
    assert decisions.state.verdict is Verdict.APPROVED


def test_a_key_stands_for_one_act_of_one_person() -> None:
    decisions = opened(Risk.HIGH)
    assert not refused(decisions, said(ActKind.APPROVE, "ann", decisions, key="k"))
    assert not refused(decisions, said(ActKind.APPROVE, "ann", decisions, key="k"))
    assert refused(decisions, said(ActKind.APPROVE, "bob", decisions, key="k")) == "DuplicateDecision"
    assert [consent.by for consent in decisions.state.given] == ["ann"]


def test_who_asked_again_and_lost_the_answer_is_told_so_in_the_next_round() -> None:
    first = Round(number=1, shown="0" * 64, by="ann", key="k")
    decisions = opened(rounds=(first,))
    act = said(ActKind.FEEDBACK, "ann", decisions, key="k").model_copy(update={"shown": first.shown})
    receipt = decisions.count(act, ActChecked(), NOW)
    assert (receipt.is_repeat, receipt.verdict, receipt.shown) == (True, Verdict.AGAIN, first.shown)
    assert decisions.is_open
    assert refused(decisions, act.model_copy(update={"by": "bob"})) == "StaleDecision"


def test_where_nobody_had_to_be_asked_one_is_enough() -> None:
    decisions = opened(Risk.LOW)
    assert not refused(decisions, said(ActKind.APPROVE, "ann", decisions))
    assert decisions.state.verdict is Verdict.APPROVED


def test_what_anybody_can_send_names_nobody_in_the_audit() -> None:
    decisions = opened()
    act = said(ActKind.APPROVE, "[look](http://evil)", decisions)
    decisions.refuse(act, ApplicationError("no", type="InvalidRequest"), NOW, by_signal=True)
    assert (decisions.news[-1].by, decisions.state.refusals[-1].by) == ("", "")


def test_an_act_typed_without_a_key_has_one_of_its_own() -> None:
    decisions = opened(Risk.HIGH)
    act = said(ActKind.APPROVE, "ann", decisions)
    assert key_of(act) == key_of(said(ActKind.APPROVE, "ann", decisions))
    assert key_of(act) != key_of(said(ActKind.APPROVE, "bob", decisions))


# --- time -------------------------------------------------------------------------------------------------------


def test_a_decision_at_the_deadline_is_late() -> None:
    decisions = opened(policy=Approval(deadline_hours=1))
    late = NOW + timedelta(hours=1)
    assert refused(decisions, said(ActKind.APPROVE, "ann", decisions), now=late) == "LateDecision"
    assert decisions.on_time(late) == [EventKind.EXPIRED]
    assert decisions.state.verdict is Verdict.EXPIRED
    early = opened(policy=Approval(deadline_hours=1))
    assert not refused(early, said(ActKind.APPROVE, "ann", early), now=late - timedelta(seconds=1))
    assert early.on_time(late) == []


def test_expiry_escalates_once_and_then_rejects() -> None:
    decisions = opened(policy=Approval(deadline_hours=1, on_expiry="escalate", escalate_to="board", remind_hours=99))
    assert decisions.on_time(NOW + timedelta(hours=1)) == [EventKind.ESCALATED]
    assert decisions.state.asked == ("approvers", "board")
    assert decisions.on_time(NOW + timedelta(hours=2)) == [EventKind.EXPIRED]


def test_who_is_faster_than_the_timer_that_escalates_is_not_late() -> None:
    policy = Approval(deadline_hours=1, on_expiry="escalate", escalate_to="board")
    late = NOW + timedelta(hours=1, seconds=1)
    decisions = opened(policy=policy)
    assert refused(decisions, said(ActKind.APPROVE, "ann", decisions), now=late) == ""
    decisions = opened(policy=policy)
    decisions.on_time(late)
    assert refused(decisions, said(ActKind.APPROVE, "ann", decisions), now=late + timedelta(hours=1)) == "LateDecision"


def test_a_claim_holds_for_half_an_hour() -> None:
    decisions = opened()
    assert not refused(decisions, said(ActKind.CLAIM, "ann", decisions, key="1"))
    soon, later = NOW + timedelta(minutes=29), NOW + timedelta(minutes=30)
    assert refused(decisions, said(ActKind.CLAIM, "bob", decisions, key="2"), now=soon) == "NotAcceptable"
    assert not refused(decisions, said(ActKind.CLAIM, "bob", decisions, key="3"), now=later)


@pytest.mark.parametrize("hours", [0.0, -1.0, 5000.0, float("nan"), float("inf")])
def test_time_is_extended_by_what_makes_sense(hours: float) -> None:
    decisions = opened()
    act = said(ActKind.EXTEND, "ann", decisions).model_copy(update={"hours": hours})
    assert refused(decisions, act) == "NotAcceptable"


def test_it_can_not_be_delegated_to_the_submitter() -> None:
    decisions = opened()
    assert refused(decisions, said(ActKind.DELEGATE, "ann", decisions, to="sam")) == "SelfDecision"


def test_whoever_comes_late_is_told_what_became_of_it() -> None:
    decisions = opened()
    assert not refused(decisions, said(ActKind.APPROVE, "ann", decisions, key="1"))
    with pytest.raises(ApplicationError, match="approved already by ann at 2026-01-05 09:00:00 UTC"):
        decisions.check(said(ActKind.APPROVE, "bob", decisions, key="2"), NOW)
