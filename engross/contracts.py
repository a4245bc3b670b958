"""What crosses Temporal: small, frozen values. Fields are added with defaults, never renamed.

Text, documents and answers cross as references (`BlobRef` and its kin): a content hash and where to find it.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.names import is_name

DEFAULT_TENANT = "default"


class Contract(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(frozen=True)


# --- references -------------------------------------------------------------------------------------------------


class BlobRef(Contract):
    """Bytes in the blob store, by content. `size` in bytes."""

    tenant: str
    sha256: str
    size: int
    media_type: str = "application/octet-stream"


class TextRef(BlobRef):
    """Canonical text of a document, with what the extraction found. `characters` counts code points."""

    media_type: str = "application/vnd.engross.text+json"
    pages: int = 1
    characters: int = 0
    flags: tuple[str, ...] = ()


class DocumentSource(Contract):
    """Where a document is: `blob:<sha256>` (uploaded by a client) or `file:///...`. `name` is for people only."""

    uri: str = ""
    name: str = ""

    @property
    def label(self) -> str:
        """What people call it: its name, or the last part of a file's address."""
        return self.name or (unquote(self.uri.rpartition("/")[2]) if self.uri.startswith("file:") else "")


# --- a run ------------------------------------------------------------------------------------------------------


class RunRequest(Contract):
    """The input of every pattern's workflow; small enough to type by hand in the Web UI.

    Temporal retries a workflow whose input cannot be decoded for ever, so anything decodes here and
    `complaint` says what is wrong with it: the run then ends with a named error.
    """

    job: str = ""
    document: DocumentSource = DocumentSource()
    tenant: str = DEFAULT_TENANT
    cache: bool = True
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            known = handler(value)
        except ValidationError as error:
            fields = sorted({".".join(map(str, problem["loc"])) or "input" for problem in error.errors()})
            return cls.model_construct(unusable=f"wrong type: {', '.join(fields)}")
        extra = sorted(set(value) - set(cls.model_fields)) if isinstance(value, dict) else []
        return known.model_copy(update={"unusable": f"unknown fields: {', '.join(extra)}"}) if extra else known

    def complaint(self) -> str:
        """What keeps this request from being run, with the fix; empty when nothing does."""
        if self.unusable:
            return f'{self.unusable}; expected {{"job": ..., "document": {{"uri": ...}}, "tenant": ...}}'
        if not is_name(self.job):
            return '"job" must name a job: lower-case letters, digits, "-" and "_"'
        if not is_name(self.tenant):
            return '"tenant" must be lower-case letters, digits, "-" and "_", 63 at most'
        if not self.document.uri:
            return '"document" must have a "uri", such as "file:///home/me/invoice.pdf"'
        return ""


class ModelRef(Contract):
    """One model of one provider, written `openai:gpt-4.1-mini`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


class StepPlan(Contract):
    """One step of a job as frozen for one run: later edits of the job don't reach it."""

    name: str
    prompt: BlobRef
    prompt_version: str
    schema_version: str
    route: tuple[ModelRef, ...]
    max_output_tokens: int
    temperature: float = 0.0
    repairs: int = 1


class Plan(Contract):
    """What a run will do, resolved by its first step."""

    job: str
    job_version: str
    pattern: str
    steps: tuple[StepPlan, ...]


class Prepared(Contract):
    """Result of `prepare`: the frozen plan, the document as ingested, its text."""

    plan: Plan
    document: BlobRef
    text: TextRef


# --- model replies ----------------------------------------------------------------------------------------------


class Usage(Contract):
    """Tokens of one or more calls. `cached_tokens` are the part of the input that came from the provider's cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


class Problem(Contract):
    """One way in which an answer breaks its schema. Field paths and codes only: messages can quote the document."""

    field: str
    code: str

    def __str__(self) -> str:
        return f"{self.field} ({self.code})" if self.field else self.code


class ReplyStatus(StrEnum):
    """What a reply turned out to be. Every one was paid for."""

    VALID = "valid"
    INVALID = "invalid"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    FILTERED = "filtered"
    EMPTY = "empty"


class ReplySource(StrEnum):
    """Where a reply came from: a call, a call of an earlier attempt of this step, an equal call of another run."""

    CALLED = "called"
    RECOVERED = "recovered"
    CACHED = "cached"


class Reply(Contract):
    """What came of one rung: a model call, or a deterministic fix (`calls` is 0).

    A cached reply costs nothing: its calls, usage and cost are 0. `maybe_billed` counts earlier attempts that vanished.
    `answer` is the checked value as JSON when `VALID`; `draft` what the model wrote when `INVALID`, with the messages
    that a repair needs. `cost_usd` is None when the price is unknown: never counted as zero.
    """

    status: ReplyStatus
    step: str
    model: str
    prompt_version: str
    answer: BlobRef | None = None
    draft: BlobRef | None = None
    problems: tuple[Problem, ...] = ()
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    calls: int = 1
    finish_reason: str = ""
    latency_ms: int = 0
    source: ReplySource = ReplySource.CALLED
    maybe_billed: int = 0
    asked: ModelRef | None = None


class AskRequest(Contract):
    """Input of `ask_model`. `previous` is the answer of the step before; `draft` turns the call into a re-ask."""

    job: str
    step: StepPlan
    model: ModelRef
    text: TextRef
    previous: BlobRef | None = None
    draft: BlobRef | None = None
    cache: bool = True


class RepairRequest(Contract):
    """Input of `repair_answer`: an invalid reply, to be fixed by code alone."""

    job: str
    step: StepPlan
    reply: Reply


# --- results ----------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_APPROVAL = "needs_approval"


class ErrorInfo(Contract):
    """A named error, for people and machines. `type` is a class name of `engross.errors`."""

    type: str
    message: str


class RunResult(Contract):
    """The result of a run as Temporal carries it; the answer itself is a reference."""

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


class Spent(Contract):
    """One reply in the accounts: what was asked of which model (`openai:gpt-4.1-mini`), and what it cost."""

    step: str
    model: str
    status: ReplyStatus
    source: ReplySource
    calls: int
    usage: Usage
    cost_usd: Decimal | None
    maybe_billed: int = 0


class StoreRequest(Contract):
    """Input of `store_answer`. `started_at` (UTC, ISO 8601) tells a newer run of the same id from an older.

    `attempt` is Temporal's own id of this run; `spent` has every reply that a model gave, in order, for the accounts:
    money that was spent stays spent when a later run of the same id replaces the row.
    """

    result: RunResult
    started_at: str
    document_name: str = ""
    document: BlobRef | None = None
    attempt: str = ""
    spent: tuple[Spent, ...] = ()


class Stored(Contract):
    """Result of `store_answer`: the row is there, or that of a newer run of the same id."""
