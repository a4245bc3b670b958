"""What the pages offer somebody. Whether an act counts is for the workflow alone: this saves people a refusal."""

from dataclasses import dataclass
from typing import Final

from engross.contracts import ApprovalRequest, ApprovalState, Verdict
from engross.people import Person
from starters.approvals_view import needed

NOTHING_VALID: Final = "There is no valid answer to approve: correct it, or reject it."


@dataclass(frozen=True)
class Rights:
    """What somebody may do to one approval now. `why_not` says why they can't decide, `why_not_approve` why only that.

    `manages`: they may delegate it, and extend its time.
    """

    decides: bool = False
    manages: bool = False
    claims: bool = False
    releases: bool = False
    why_not: str = ""
    why_not_approve: str = ""

    @property
    def approves(self) -> bool:
        return self.decides and not self.why_not_approve


def rights_of(person: Person, request: ApprovalRequest, state: ApprovalState) -> Rights:
    """What `person` may do."""
    if state.verdict is not Verdict.OPEN:
        return Rights()
    why_not = _why_not(person, request, state)
    is_own = person.name == request.submitter
    manages = not is_own and (not why_not or person.may_operate(request.tenant))
    if why_not:
        return Rights(manages=manages, why_not=why_not)
    return Rights(
        decides=True,
        manages=manages,
        claims=state.claimed_by != person.name,
        releases=state.claimed_by == person.name,
        why_not_approve=_why_not_approve(person, request, state),
    )


def _why_not(person: Person, request: ApprovalRequest, state: ApprovalState) -> str:
    if person.name == request.submitter:
        return "You submitted this document, so somebody else decides on it."
    if not person.may_approve(request.tenant):
        return "You may look at this. To decide, you need the role of an approver: ask an operator."
    if not person.is_asked(request.tenant, state.asked):
        return f"Asked are: {', '.join(state.asked)}. You are not among them."
    return ""


def _why_not_approve(person: Person, request: ApprovalRequest, state: ApprovalState) -> str:
    if state.answer is None:
        return NOTHING_VALID
    if person.name in {consent.by for consent in state.given}:
        return "You have approved this. Somebody else has to approve it as well."
    if len(state.given) >= needed(request) and not person.is_senior(request.tenant):
        return "Enough people have approved. What is missing is a senior."
    return ""
