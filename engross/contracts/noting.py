"""What is kept and told of approvals: events of the audit log, the row of the inbox, notices."""

from datetime import datetime
from enum import StrEnum

from engross.contracts.approvals import ApprovalRequest, ApprovalState
from engross.contracts.references import Contract


class EventKind(StrEnum):
    """What the audit log calls it."""

    OPENED = "opened"
    APPROVED = "approved"
    REJECTED = "rejected"
    FEEDBACK = "feedback"
    CORRECTED = "corrected"
    CLAIMED = "claimed"
    RELEASED = "released"
    DELEGATED = "delegated"
    EXTENDED = "extended"
    REFUSED = "refused"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


class ApprovalEvent(Contract):
    """One line of the audit log. `number` counts the events of one execution, so that writing it again adds nothing.

    `before` and `after` are SHA-256 of the answers that it changed from and to; `detail` names fields and errors, never
    values.
    """

    number: int
    kind: EventKind
    at: datetime
    by: str = ""
    source: str = ""
    address: str = ""
    shown: str = ""
    before: str = ""
    after: str = ""
    detail: str = ""
    is_signed: bool = False


class ApprovalNote(Contract):
    """Input of `note_approval`: where the approval stands, and the events since the last note."""

    approval_id: str
    attempt: str
    request: ApprovalRequest
    state: ApprovalState
    events: tuple[ApprovalEvent, ...] = ()


class Noted(Contract):
    """Result of `note_approval` and of `send_notice`. `has_channels` says that there is a way to send notices."""

    has_channels: bool = False


class Notice(Contract):
    """Input of `send_notice`: one event, to be told to the groups and people in `to` by every channel there is."""

    approval_id: str
    kind: EventKind
    to: tuple[str, ...]
    request: ApprovalRequest
    state: ApprovalState
