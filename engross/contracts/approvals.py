"""An approval: what people are asked, what they do, and what comes of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.decoding import decoded
from engross.contracts.policies import APPROVERS, Approval, Risk
from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, TextRef
from engross.contracts.replies import Problem
from engross.contracts.results import ErrorInfo

MOST_REASON: Final = 2000
"""Characters of a reason that somebody types straight into Temporal."""


# --- the risk -----------------------------------------------------------------------------------------------------


class AssessRequest(Contract):
    """Input of `assess_risk`. `model_risk` is what the job's assess step found, once it was asked."""

    policy: Approval
    answer: BlobRef | None
    text: TextRef
    model_risk: Risk | None = None


class Assessment(Contract):
    """What rules, triggers and confidence make of an answer. Reasons name rules and fields, never values.

    `risk` None: the rules leave it open, and the model is to be asked. `stops`: too unsure to ask anybody.
    `priority`, 1 to 5, is 1 for what is to be decided first.
    """

    risk: Risk | None = None
    reasons: tuple[str, ...] = ()
    confidence: float | None = None
    stops: bool = False
    priority: int = 3


# --- what is asked ------------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What became of an approval; `OPEN` is that it waits for people.

    `AGAIN`: somebody asked for another attempt, and a new round follows. `WITHDRAWN`: its run was cancelled.
    """

    OPEN = "open"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    AGAIN = "again"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Round(Contract):
    """A round that is over: what was shown, who asked for another attempt, and the words they gave the model.

    `key` is that of their act.
    """

    number: int
    shown: str
    answer: BlobRef | None = None
    by: str = ""
    note: BlobRef | None = None
    at: datetime | None = None
    key: str = ""


class ApprovalRequest(Contract):
    """Input of the workflow `approval`, and what its page shows.

    `answer` is the proposed one, checked; None when no attempt was valid: then `draft` may have the last one as the
    model wrote it, `problems` what is wrong with it, and `error` says why people are asked. `step` is the step of the
    job whose schema the answer has. `run_id` is the run that waits for this; empty when nobody does, and an approved
    answer is stored as the official copy of a run of this approval's own id. `can_ask_again` says that the run can make
    another attempt. `state` is that of an execution before this one.
    """

    job: str = ""
    tenant: str = DEFAULT_TENANT
    step: str = ""
    run_id: str = ""
    submitter: str = ""
    document: BlobRef | None = None
    document_name: str = ""
    text: TextRef | None = None
    answer: BlobRef | None = None
    draft: BlobRef | None = None
    problems: tuple[Problem, ...] = ()
    error: ErrorInfo | None = None
    flags: tuple[str, ...] = ()
    risk: Risk = Risk.MEDIUM
    reasons: tuple[str, ...] = ()
    confidence: float | None = None
    priority: int = 3
    policy: Approval = Approval()
    can_ask_again: bool = False
    rounds: tuple[Round, ...] = ()
    state: "ApprovalState | None" = None
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)

    @property
    def round(self) -> int:
        """The number of this round, from 1."""
        return len(self.rounds) + 1


# --- what people do -----------------------------------------------------------------------------------------------


class ActKind(StrEnum):
    """What somebody does to an approval. The first four decide; all others change who decides, and until when."""

    APPROVE = "approve"
    REJECT = "reject"
    FEEDBACK = "feedback"
    CORRECT = "correct"
    CLAIM = "claim"
    RELEASE = "release"
    DELEGATE = "delegate"
    EXTEND = "extend"

    @property
    def decides(self) -> bool:
        """Whether it is about the content, and therefore bound to what was shown."""
        return self in (ActKind.APPROVE, ActKind.REJECT, ActKind.FEEDBACK, ActKind.CORRECT)


class Act(Contract):
    """Input of the update and of the signal `decide`: who does what, on exactly what they saw.

    `approval_id` is the workflow's id and `shown` the SHA-256 of what was shown, `key` an idempotency key: an act with
    the key of one that counted is answered as that one was, and changes nothing. `value` is the corrected answer,
    `note` a reason or feedback, as blobs; `reason` the same typed by hand. `to` is who an approval is delegated to,
    `hours` by how much its time is extended. `at` (UTC), `source` (console, command, api, temporal) and `address` (of
    the client) are for the audit. `signature` is made by `engross.signing`.
    """

    kind: ActKind = ActKind.CLAIM
    by: str = Field(default="", max_length=128)
    approval_id: str = Field(default="", max_length=300)
    shown: str = Field(default="", max_length=64)
    key: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=MOST_REASON)
    note: BlobRef | None = None
    value: BlobRef | None = None
    to: str = Field(default="", max_length=128)
    hours: float = 0.0
    at: datetime | None = None
    source: str = Field(default="temporal", max_length=32)
    address: str = Field(default="", max_length=100)
    signature: str = Field(default="", max_length=128)
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)


class ActCheck(Contract):
    """Input of `check_act`: whether the signature holds, who the person is, and whether a corrected value is valid.

    `asked` are the groups and people who may decide.
    """

    act: Act
    approval_id: str
    tenant: str
    job: str
    step: str
    asked: tuple[str, ...]
    before: BlobRef | None = None


class ActChecked(Contract):
    """Result of `check_act`. `refusal` says why the act does not count; None when it does.

    `value` is the corrected answer as checked; `changed` the dotted paths at which it differs from the one before;
    `note` what was said, as a blob, also when it was typed by hand.
    """

    refusal: ErrorInfo | None = None
    is_senior: bool = False
    is_signed: bool = False
    value: BlobRef | None = None
    note: BlobRef | None = None
    changed: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Receipt(Contract):
    """What the caller of `decide` is told of an act that counted. `given` of `needed` approvals are there."""

    approval_id: str
    key: str
    kind: ActKind
    by: str
    verdict: Verdict
    given: int
    needed: int
    shown: str = ""
    is_repeat: bool = False


# --- where it stands ----------------------------------------------------------------------------------------------


class Consent(Contract):
    """One approval that counts."""

    by: str
    key: str
    at: datetime
    is_senior: bool = False


class ApprovalState(Contract):
    """Where an approval stands; what a new execution of it goes on from. Times are UTC.

    `shown` is the SHA-256 of what people see now; a correction changes it, so that approvals given before it no longer
    count. `asked` are the groups and people who may decide. `refusals` are acts by signal that did not count, the last
    of them. `revision` grows with every change.
    """

    verdict: Verdict = Verdict.OPEN
    shown: str = ""
    answer: BlobRef | None = None
    is_corrected: bool = False
    changed: tuple[str, ...] = ()
    given: tuple[Consent, ...] = ()
    asked: tuple[str, ...] = (APPROVERS,)
    claimed_by: str = ""
    claimed_at: datetime | None = None
    opened_at: datetime | None = None
    due_at: datetime | None = None
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    is_escalated: bool = False
    decided_by: tuple[str, ...] = ()
    decided_at: datetime | None = None
    note: BlobRef | None = None
    reason: str = ""
    receipts: tuple[Receipt, ...] = ()
    refusals: tuple["Refusal", ...] = ()
    revision: int = 0


class Refusal(Contract):
    """An act that did not count, and why."""

    by: str
    kind: ActKind
    error: ErrorInfo
    at: datetime


class ApprovalResult(Contract):
    """Result of the workflow `approval`, for the run that waits.

    `answer` is what was approved, `key` that of the act that ended it.
    """

    approval_id: str
    verdict: Verdict
    shown: str
    answer: BlobRef | None = None
    by: tuple[str, ...] = ()
    note: BlobRef | None = None
    reason: str = ""
    at: datetime | None = None
    key: str = ""


# --- what is kept of it -------------------------------------------------------------------------------------------


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


for _contract in (ApprovalRequest, ApprovalState):
    _contract.model_rebuild()
