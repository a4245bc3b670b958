"""A batch: one workflow over many documents, which child runs read in groups."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.decoding import decoded, problem_of
from engross.contracts.plans import Plan
from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, DocumentSource, TextRef
from engross.contracts.results import ErrorInfo, Outcome, StoreRequest

MOST_AT_ONCE = 1000
MOST_IN_GROUP = 100


class BatchCounts(Contract):
    """How many documents of a batch have ended, by how; those `parked` go on in runs of their own.

    `duplicate` rows name a document that an earlier row names too. `cost_usd` leaves out what has no known price, which
    `unpriced` counts.
    """

    done: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    needs_approval: int = 0
    rejected: int = 0
    parked: int = 0
    duplicate: int = 0
    calls: int = 0
    cached: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0

    @property
    def ended(self) -> int:
        """All rows that are accounted for."""
        return self.duplicate + sum(int(getattr(self, outcome.value)) for outcome in Outcome)

    def __add__(self, other: "BatchCounts") -> "BatchCounts":
        return BatchCounts(**{name: getattr(self, name) + getattr(other, name) for name in BatchCounts.model_fields})


class BatchPlan(Contract):
    """Result of `plan_batch`: the job's frozen plan, how many rows there are, and the blob that lists them."""

    plan: Plan
    listing: BlobRef
    count: int


class BatchState(Contract):
    """What a batch takes with it when it continues as new: where it stands, and what people told it."""

    next_row: int = 1
    counts: BatchCounts = BatchCounts()
    at_once: int = 0
    is_paused: bool = False
    plan: BatchPlan | None = None
    started_at: datetime | None = None


class BatchRequest(Contract):
    """Input of `batch`; small enough to type by hand. Anything decodes, as for `RunRequest`.

    `manifest` is a text of JSON lines, one document each: `{"uri": "blob:..." or "file:///...", "name": "..."}`.
    `at_once` documents are in flight, in child runs of `group` documents each.
    """

    job: str = ""
    manifest: DocumentSource = DocumentSource()
    tenant: str = DEFAULT_TENANT
    cache: bool = True
    at_once: int = Field(default=64, ge=1, le=MOST_AT_ONCE)
    group: int = Field(default=25, ge=1, le=MOST_IN_GROUP)
    state: BatchState | None = None
    submitter: str = ""
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)

    def complaint(self) -> str:
        """What keeps this batch from being run, with the fix; empty when nothing does."""
        if self.unusable:
            return f'{self.unusable}; expected {{"job": ..., "manifest": {{"uri": ...}}, "tenant": ...}}'
        return problem_of(self.job, self.tenant, self.manifest, "manifest")


class BatchRow(Contract):
    """One row of a manifest, from 1. `error` is why it names no document; `duplicate_of` the row that came first."""

    row: int
    document: DocumentSource = DocumentSource()
    error: ErrorInfo | None = None
    duplicate_of: int | None = None


class GroupRequest(Contract):
    """Input of `batch_group`, a child run over the rows from `first` to `last`, `at_once` of them in flight."""

    batch_id: str
    job: str
    tenant: str
    cache: bool
    plan: Plan
    listing: BlobRef
    first: int
    last: int
    at_once: int
    submitter: str = ""


class GroupRowsRequest(Contract):
    """Input of `prepare_group`: documents are read when `reads` says so, else left to runs of their own."""

    batch_id: str
    job: str
    tenant: str
    job_version: str
    route: str
    listing: BlobRef
    first: int
    last: int
    reads: bool


class PreparedRow(Contract):
    """One row as a group runs it. `error` ends it; without `text` its document still has to be read."""

    row: BatchRow
    run_id: str
    document: BlobRef | None = None
    text: TextRef | None = None
    error: ErrorInfo | None = None


class PreparedGroup(Contract):
    """Result of `prepare_group`."""

    rows: tuple[PreparedRow, ...]


class RowOutcome(Contract):
    """How a row of a batch ended. `run` is what is stored of the run, None when there was none or it is not over.

    `cost_usd` is that of a row without `run`: of one that ran on its own, and stored what there is by itself.
    """

    row: int
    run_id: str
    name: str
    uri: str
    outcome: str
    error: ErrorInfo | None = None
    run: StoreRequest | None = None
    cost_usd: Decimal | None = Decimal(0)


class StoreGroupRequest(Contract):
    """Input of `store_group`: rows of a batch that have ended.

    `started_at` (UTC, ISO 8601) is when their group began: it tells a newer run of the same batch from an older, and
    what became of a parked document from what had been of it before.
    """

    batch_id: str
    tenant: str
    rows: tuple[RowOutcome, ...]
    job: str = ""
    started_at: str = ""


class GroupProgress(Contract):
    """What a group tells its batch, from time to time and as its result: what its rows came to so far."""

    first: int
    counts: BatchCounts


class BatchProgress(Contract):
    """Answer to the query `progress` and result of `batch`. Rates are documents a minute; times in seconds, UTC."""

    batch_id: str
    job: str
    tenant: str
    total: int
    counts: BatchCounts
    running: int
    at_once: int
    is_paused: bool
    started_at: datetime
    seconds: float
    per_minute: float
    eta_seconds: float | None = None

    @property
    def ended(self) -> int:
        """Rows that are accounted for."""
        return self.counts.ended


class GroupShare(Contract):
    """Input of the signal `share`: so many documents of a group may be in flight from now on; 0 pauses it."""

    at_once: int


class WindowChange(Contract):
    """Input of the update `set_window`: so many documents in flight from now on."""

    at_once: int = Field(ge=1, le=MOST_AT_ONCE)
