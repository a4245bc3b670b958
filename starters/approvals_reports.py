"""What is told about approvals: values with exactly the fields that the JSON output has."""

from datetime import datetime
from typing import Any, Self

from activities.approvals.rows import ApprovalRow
from engross.contracts import (
    ActKind,
    ApprovalState,
    Contract,
    ErrorInfo,
    Problem,
    Receipt,
    Risk,
    Verdict,
)
from engross.errors import EngrossError
from starters.approvals_view import ApprovalView, needed


class ApprovalLine(Contract):
    """An approval in a list. Times are UTC; `given` of `needed` people have approved what `shown` is the hash of."""

    approval_id: str
    run_id: str
    job: str
    tenant: str
    document: str
    verdict: Verdict
    risk: Risk
    priority: int
    round: int
    given: int
    needed: int
    claimed_by: str
    opened_at: datetime | None
    due_at: datetime | None
    shown: str

    @classmethod
    def of(cls, row: ApprovalRow) -> Self:
        """That of a row of the inbox."""
        return cls.model_validate(_fields(row, row.state))


class RoundReport(Contract):
    """An earlier round: what was shown, and who asked for another attempt."""

    number: int
    shown: str
    by: str
    at: datetime | None


class ApprovalReport(ApprovalLine):
    """An approval as it stands. `answer` is what is proposed, or decided on; None when no attempt was valid.

    `draft` is then the last attempt, with what is wrong with it in `problems`; `error` says why people are asked.
    `changed` are the dotted paths that a correction changed; `note` is the reason or feedback of the last decision.
    `is_fresh` is False when no worker was there to tell, so that it is as last noted.
    """

    submitter: str
    reasons: tuple[str, ...]
    confidence: float | None
    error: ErrorInfo | None
    problems: tuple[Problem, ...]
    flags: tuple[str, ...]
    asked: tuple[str, ...]
    approved_by: tuple[str, ...]
    is_escalated: bool
    is_corrected: bool
    changed: tuple[str, ...]
    can_ask_again: bool
    rounds: tuple[RoundReport, ...]
    decided_by: tuple[str, ...]
    decided_at: datetime | None
    note: str
    is_fresh: bool
    answer: Any
    draft: Any

    @classmethod
    def of_view(cls, view: ApprovalView) -> Self:
        """That of an approval as it was read."""
        request, state = view.request, view.state
        own = {name: getattr(request, name) for name in _OF_REQUEST} | {
            name: getattr(state, name) for name in _OF_STATE
        }
        rounds = [RoundReport(number=each.number, shown=each.shown, by=each.by, at=each.at) for each in request.rounds]
        return cls.model_validate(
            _fields(view.row, state)
            | own
            | {
                "approved_by": [each.by for each in state.given],
                "rounds": rounds,
                "note": view.note,
                "is_fresh": view.is_fresh,
                "answer": view.answer,
                "draft": view.draft,
            }
        )


class ActReport(Contract):
    """What came of an act: `error` says why it does not count; None when it does.

    `verdict` is None when that is not known, as of one that is refused.
    """

    approval_id: str
    kind: ActKind
    verdict: Verdict | None = None
    by: str = ""
    key: str = ""
    given: int = 0
    needed: int = 0
    shown: str = ""
    is_repeat: bool = False
    error: ErrorInfo | None = None

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """That of an act that counts."""
        return cls.model_validate(receipt.model_dump())

    @classmethod
    def refused(cls, approval_id: str, kind: ActKind, error: EngrossError) -> Self:
        """That of an act that does not count."""
        return cls(approval_id=approval_id, kind=kind, error=ErrorInfo(type=error.type, message=str(error)))


_OF_REQUEST = ("submitter", "reasons", "confidence", "error", "problems", "flags", "can_ask_again")
_OF_STATE = ("asked", "is_escalated", "is_corrected", "changed", "decided_by", "decided_at")


def _fields(row: ApprovalRow, state: ApprovalState) -> dict[str, Any]:
    request = row.request
    return {
        "approval_id": row.approval_id,
        "run_id": request.run_id,
        "job": request.job,
        "tenant": request.tenant,
        "document": request.document_name,
        "verdict": state.verdict,
        "risk": request.risk,
        "priority": request.priority,
        "round": request.round,
        "given": len(state.given),
        "needed": needed(request),
        "claimed_by": state.claimed_by,
        "opened_at": state.opened_at or row.opened_at,
        "due_at": state.due_at,
        "shown": state.shown,
    }
