"""A model call: what is asked, and what came of it."""

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from engross.contracts.money import RunBudget
from engross.contracts.plans import ModelRef, StepPlan
from engross.contracts.references import BlobRef, Contract, TextRef


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
    """What a reply turned out to be. Every one was paid for; `LOST` never came, and may have been paid for."""

    VALID = "valid"
    INVALID = "invalid"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    FILTERED = "filtered"
    EMPTY = "empty"
    LOST = "lost"


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
    `notices` are for operators: a budget that is nearly spent, a model other than the one asked. `answer_tokens` is the
    size of the answer, in tokens of o200k_base; `told` what the step's `tells` ask for.
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
    notices: tuple[str, ...] = ()
    answer_tokens: int = 0
    told: dict[str, float | str] = Field(default_factory=dict)


class Given(Contract):
    """An answer that a step reads beside the document or instead of it; `label` says to the model what it is."""

    label: str
    answer: BlobRef


class AskRequest(Contract):
    """Input of `ask_model`. `previous` is the answer of the step before; `draft` turns the call into a re-ask.

    `given` are more answers that the model reads; without `reads_text` it reads only these. `sources` are the numbers
    of the chunks that an answer may cite. `budget` is what the run may spend, raises included. `tried` counts the calls
    for this very request that failed in earlier steps, before limits or a circuit made the run wait. `scope` names the
    run whose replies are found again, where that isn't the workflow itself.
    """

    job: str
    step: StepPlan
    model: ModelRef
    text: TextRef
    previous: BlobRef | None = None
    draft: BlobRef | None = None
    cache: bool = True
    budget: RunBudget | None = None
    tried: int = 0
    given: tuple[Given, ...] = ()
    reads_text: bool = True
    sources: tuple[int, ...] = ()
    scope: str = ""


class RepairRequest(Contract):
    """Input of `repair_answer`: an invalid reply, to be fixed by code alone. `sources` as in `AskRequest`."""

    job: str
    step: StepPlan
    reply: Reply
    sources: tuple[int, ...] = ()
