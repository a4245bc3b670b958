"""An approval: what people are asked, where it stands, and what comes of it."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.acts import Consent, Receipt, Refusal, Verdict
from engross.contracts.decoding import decoded
from engross.contracts.policies import APPROVERS, Approval, Risk
from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, TextRef
from engross.contracts.replies import Problem
from engross.contracts.results import ErrorInfo


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
    refusals: tuple[Refusal, ...] = ()
    revision: int = 0


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
    state: ApprovalState | None = None
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)

    @property
    def round(self) -> int:
        """The number of this round, from 1."""
        return len(self.rounds) + 1


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
