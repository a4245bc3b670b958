"""A row of the inbox, as it is shown."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from activities.approvals.rows import ApprovalRow
from engross.contracts import ApprovalRequest, Consent, Receipt, Verdict
from engross.errors import EngrossError
from engross.people import Person
from starters.approvals_view import needed
from starters.console.pages.printable import one_line
from starters.console.pages.rights import Rights, rights_of


@dataclass(frozen=True)
class RowView:
    """`chosen` is what its checkbox sends: the hash of what is shown, and the id; "" where it can't be ticked."""

    approval_id: str
    address: str
    name: str
    job: str
    tenant: str
    risk: str
    verdict: Verdict
    why: str
    round: int
    given: tuple[Consent, ...]
    needed: int
    needs_senior: bool
    claimed_by: str
    opened_at: datetime
    due_at: datetime | None
    decided_by: tuple[str, ...]
    decided_at: datetime | None
    rights: Rights
    chosen: str = ""

    @property
    def is_open(self) -> bool:
        return self.verdict is Verdict.OPEN


@dataclass(frozen=True)
class Told:
    """What came of one of many acts: `name` is the document's, `text` a sentence."""

    name: str
    address: str
    is_done: bool
    text: str


def address_of_approval(approval_id: str) -> str:
    """Where its page is."""
    return f"/approvals/{quote(approval_id, safe='')}"


def row_view(row: ApprovalRow, person: Person) -> RowView:
    """The row as `person` sees it."""
    request, state, rights = row.request, row.state, rights_of(person, row.request, row.state)
    return RowView(
        approval_id=row.approval_id,
        address=address_of_approval(row.approval_id),
        name=one_line(request.document_name) or row.approval_id,
        job=one_line(request.job),
        tenant=one_line(request.tenant),
        risk=request.risk.value,
        verdict=state.verdict,
        why=why(request),
        round=request.round,
        given=state.given,
        needed=needed(request),
        needs_senior=request.risk.needs_senior,
        claimed_by=one_line(state.claimed_by),
        opened_at=row.opened_at,
        due_at=state.due_at,
        decided_by=state.decided_by,
        decided_at=state.decided_at,
        rights=rights,
        chosen=f"{state.shown}:{row.approval_id}" if rights.approves and request.policy.bulk else "",
    )


def why(request: ApprovalRequest) -> str:
    """Why people are asked, in a line: an answer that is not valid comes first."""
    told = [] if request.answer else ["no valid answer"]
    told += [one_line(reason) for reason in request.reasons if reason not in told]
    told += [one_line(flag).replace("_", " ") for flag in request.flags]
    if not told and request.error:
        told = [one_line(request.error.message)]
    return "; ".join(told) or "its job asks for it"


def told_of(approval_id: str, name: str, came: Receipt | EngrossError) -> Told:
    """What came of approving it with others."""
    if isinstance(came, EngrossError):
        return Told(name, address_of_approval(approval_id), False, f"{came.type}: {one_line(str(came))}")
    return Told(name, address_of_approval(approval_id), True, sentence(came))


def sentence(receipt: Receipt) -> str:
    """What a receipt says, to who has it."""
    again = " That had counted before, and counts once." if receipt.is_repeat else ""
    if receipt.verdict is Verdict.OPEN:
        counts = {
            "claim": "You have claimed it: others see that you are at it.",
            "release": "It is released: others may take it.",
            "delegate": "It is delegated.",
            "extend": "There is more time now.",
        }
        missing = max(receipt.needed - receipt.given, 0)
        rest = f"{missing} more must approve." if missing else "A senior must approve as well."
        what = "Your correction counts as the first approval" if receipt.kind == "correct" else "Your approval counts"
        return counts.get(receipt.kind.value, f"{what}: {receipt.given} of {receipt.needed}. {rest}") + again
    ends = {
        Verdict.APPROVED: "Approved.",
        Verdict.CORRECTED: "Corrected and approved.",
        Verdict.REJECTED: "Rejected.",
        Verdict.AGAIN: "Your feedback is on its way to the model. The next attempt comes here as a new round.",
    }
    return ends.get(receipt.verdict, "It counted.") + again
