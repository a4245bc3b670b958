"""How a run ended, and what the stores keep of it."""

from decimal import Decimal
from enum import StrEnum

from engross.contracts.ledger import LedgerEntry
from engross.contracts.policies import Risk
from engross.contracts.references import BlobRef, Contract
from engross.contracts.replies import Problem, ReplySource, ReplyStatus, Usage


class Outcome(StrEnum):
    """How a run ended; or, `PARKED`, that it waits for somebody to act and then goes on by itself.

    `PARTIAL` is an answer that a job allows although parts of the document, or perspectives on it, are missing.
    `REJECTED` is an answer that a person, the time-out of an approval, or its own lack of confidence turned down.
    `NEEDS_APPROVAL` is a run that waits for people to decide, or that ended because a person has to look at it and its
    job declares no approval.
    """

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_APPROVAL = "needs_approval"
    REJECTED = "rejected"
    PARKED = "parked"


class ErrorInfo(Contract):
    """A named error, for people and machines. `type` is a class name of `engross.errors`."""

    type: str
    message: str


class ApprovalMark(Contract):
    """What a run's result says of its approval: who approved which content (the SHA-256 of what was shown)."""

    approval_id: str
    shown: str
    risk: Risk
    by: tuple[str, ...] = ()
    is_corrected: bool = False
    rounds: int = 1


class RunResult(Contract):
    """The result of a run as Temporal carries it; the answer itself is a reference.

    `missing` says what a partial answer lacks, `flags` what a reader should know of one that is complete.
    """

    run_id: str
    job: str
    tenant: str
    outcome: Outcome
    answer: BlobRef | None = None
    error: ErrorInfo | None = None
    usage: Usage = Usage()
    cost_usd: Decimal | None = Decimal(0)
    model: str = ""
    prompt_version: str = ""
    calls: int = 0
    repairs: int = 0
    problems: tuple[Problem, ...] = ()
    cached: int = 0
    maybe_billed: int = 0
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    approval: ApprovalMark | None = None


class Spent(Contract):
    """Replies of one kind in the accounts: what was asked of which model (`openai:gpt-4.1-mini`), and what it cost.

    `replies` is how many there are; all else are their sums.
    """

    step: str
    model: str
    status: ReplyStatus
    source: ReplySource
    calls: int
    usage: Usage
    cost_usd: Decimal | None
    maybe_billed: int = 0
    replies: int = 1


class StoreRequest(Contract):
    """Input of `store_answer`. `started_at` (UTC, ISO 8601) tells a newer run of the same id from an older.

    `attempt` is Temporal's own id of this run; `spent` has every reply that a model gave, for the accounts: money that
    was spent stays spent when a later run of the same id replaces the row. The ledger is that of `ledger_parts`, in
    order, and then `ledger`.
    """

    result: RunResult
    started_at: str
    document_name: str = ""
    document: BlobRef | None = None
    attempt: str = ""
    spent: tuple[Spent, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    ledger_parts: tuple[BlobRef, ...] = ()


class Stored(Contract):
    """Result of `store_answer`: the row is there, or that of a newer run of the same id."""
