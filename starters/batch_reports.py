"""What a client tells about batches: values with exactly the fields that the JSON output has."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from activities.storage import StoredBatch
from engross.contracts import BatchProgress, Contract, ErrorInfo, Outcome
from starters.reports import Cost


class BatchState(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"
    FAILED = "failed"


class UnreadDocument(Contract):
    """A document that could not be read where the batch was submitted: its row fails with this error."""

    document: str
    error: ErrorInfo


class SubmittedBatch(Contract):
    """A batch that was started, or `joined` because an equal one is running or has ended."""

    batch_id: str
    job: str
    tenant: str
    documents: int
    unread: tuple[UnreadDocument, ...]
    joined: bool


class BatchReport(Contract):
    """Where a batch stands. Its rows by outcome; those `parked` go on as runs of their own.

    `cost_usd` leaves out what has no known price, which `unpriced` counts. Rates are documents a minute, times in
    seconds. `at_once` is 0 when it is not known any more, and `error` is why a batch failed as a whole.
    """

    batch_id: str
    job: str
    tenant: str
    state: BatchState
    total: int
    running: int = 0
    done: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    needs_approval: int = 0
    rejected: int = 0
    parked: int = 0
    duplicate: int = 0
    cost_usd: Cost = Decimal(0)
    unpriced: int = 0
    calls: int | None = None
    cached: int | None = None
    at_once: int = 0
    started_at: datetime
    seconds: float
    per_minute: float = 0.0
    eta_seconds: float | None = None
    error: ErrorInfo | None = None

    @property
    def ended(self) -> int:
        """Rows that are accounted for."""
        return self.duplicate + sum(int(getattr(self, outcome.value)) for outcome in Outcome)

    @property
    def has_ended(self) -> bool:
        """Whether the batch itself is over."""
        return self.state not in (BatchState.RUNNING, BatchState.PAUSED)

    @property
    def is_done(self) -> bool:
        """Whether every document has its answer."""
        return self.state is BatchState.ENDED and self.done + self.duplicate == self.total


class BatchLine(Contract):
    """A batch in a list. `rows` are those that are stored, by outcome."""

    batch_id: str
    job: str
    tenant: str
    state: BatchState
    rows: dict[str, int]
    cost_usd: Cost = Decimal(0)
    unpriced: int = 0
    started_at: datetime
    ended_at: datetime | None = None


class BatchRowReport(Contract):
    """A row of a batch. `outcome` is that of its document by now, or `duplicate`."""

    batch_id: str
    row: int
    document: str
    uri: str
    outcome: str
    run_id: str
    error: ErrorInfo | None = None
    cost_usd: Cost | None = None


def of_progress(progress: BatchProgress, state: BatchState) -> BatchReport:
    """The report on a batch that tells itself how it stands."""
    counts = {name: getattr(progress.counts, name) for name in type(progress.counts).model_fields}
    shared = {name: getattr(progress, name) for name in BatchReport.model_fields if name in BatchProgress.model_fields}
    return BatchReport.model_validate({**shared, **counts, "state": state})


def of_rows(stored: StoredBatch, state: BatchState, total: int | None = None) -> BatchReport:
    """The report on a batch of which only the rows are left; `total` when more of them should be there."""
    seconds = (stored.last_at - stored.first_at).total_seconds()
    return BatchReport.model_validate(
        {
            "batch_id": stored.batch_id,
            "job": stored.job,
            "tenant": stored.tenant,
            "state": state,
            "total": stored.rows if total is None else total,
            "started_at": stored.first_at,
            "seconds": seconds,
            "per_minute": 60 * stored.rows / seconds if seconds else 0.0,
            **counted(stored),
        }
    )


def counted(stored: StoredBatch) -> Mapping[str, object]:
    """The fields of a report that rows tell."""
    known = {outcome.value for outcome in Outcome} | {"duplicate"}
    outcomes = {name: stored.outcomes.get(name, 0) for name in known}
    return {**outcomes, "cost_usd": stored.cost_usd, "unpriced": stored.unpriced}
