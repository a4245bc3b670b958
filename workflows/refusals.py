"""Which acts can't count as an approval stands: each refusal has the name of a class of `engross.errors`."""

from datetime import datetime, timedelta
from typing import Final

from engross.contracts import Act, ActKind, ApprovalRequest, ApprovalState, Verdict
from engross.names import is_name, is_user
from workflows.failures import named

CLAIM_HOLDS: Final = timedelta(minutes=30)
MOST_TIME: Final = timedelta(days=180)


def check_act(act: Act, request: ApprovalRequest, state: ApprovalState, now: datetime) -> None:
    """Raises the refusal of `act`; who may act is checked elsewhere."""
    if state.verdict is not Verdict.OPEN:
        raise named("LateDecision", told_end(state))
    if state.due_at and now >= state.due_at and not escalates_at_the_end(request, state):
        raise named("LateDecision", "the time to decide is over")
    if act.by == request.submitter:
        raise named("SelfDecision", f"{act.by} submitted this document; somebody else must decide")
    if act.kind.decides:
        _check_content(act, request, state)
    else:
        _check_other(act, request, state, now)


def _check_content(act: Act, request: ApprovalRequest, state: ApprovalState) -> None:
    if act.shown != state.shown:
        raise named("StaleDecision", "what is shown has changed since; look at it again and decide on that")
    if act.kind is ActKind.APPROVE:
        if state.answer is None:
            raise named("NotAcceptable", "there is no valid answer to approve; correct it, or reject it")
        if act.by in [consent.by for consent in state.given]:
            raise named("DuplicateDecision", f"{act.by} has approved this already; somebody else must")
    elif act.kind is ActKind.CORRECT:
        if act.value is None:
            raise named("NotAcceptable", 'a correction needs the corrected answer ("value")')
    elif not (act.note or act.reason.strip()):
        raise named("NotAcceptable", f"{act.kind.value} needs a reason")
    elif act.kind is ActKind.FEEDBACK and not request.can_ask_again:
        raise named("NotAcceptable", "no other attempt can be made here; correct the answer, or reject it")


def _check_other(act: Act, request: ApprovalRequest, state: ApprovalState, now: datetime) -> None:
    if act.kind is ActKind.CLAIM and state.claimed_by not in ("", act.by) and _holds(state.claimed_at, now):
        raise named("NotAcceptable", f"{state.claimed_by} is at it")
    if act.kind is ActKind.RELEASE and state.claimed_by != act.by:
        raise named("NotAcceptable", f"{act.by} has not claimed this")
    if act.kind is ActKind.DELEGATE and not (is_user(act.to) or is_name(act.to)):
        raise named("NotAcceptable", 'delegating needs the person or group that is to decide ("to")')
    if act.kind is ActKind.DELEGATE and act.to == request.submitter:
        raise named("SelfDecision", f"{act.to} submitted this document; delegate to somebody else")
    if act.kind is ActKind.EXTEND and not 0 < act.hours <= MOST_TIME / timedelta(hours=1):
        raise named("NotAcceptable", 'extending needs "hours", more than 0 and at most 4320')


def escalates_at_the_end(request: ApprovalRequest, state: ApprovalState) -> bool:
    """Whether others are asked when time is up, so that it is not over then. Acts may be faster than the timer."""
    policy = request.policy
    return policy.on_expiry == "escalate" and bool(policy.escalate_to) and not state.is_escalated


def _holds(claimed_at: datetime | None, now: datetime) -> bool:
    return claimed_at is not None and now - claimed_at < CLAIM_HOLDS


def told_end(state: ApprovalState) -> str:
    """What became of it, for those who come late."""
    people = () if state.verdict is Verdict.EXPIRED else state.decided_by
    who = f" by {' and '.join(people)}" if people else ""
    at = f" at {state.decided_at:%Y-%m-%d %H:%M:%S} UTC" if state.decided_at else ""
    return f"this is {state.verdict.value} already{who}{at}"
