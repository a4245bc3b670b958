"""A run: how it is asked for, and the plan that its first step makes of that."""

from decimal import Decimal
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, DocumentSource, TextRef
from engross.names import is_name


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
    """What a run will do, resolved by its first step. `budget_usd` caps its model calls; None is no cap."""

    job: str
    job_version: str
    pattern: str
    steps: tuple[StepPlan, ...]
    budget_usd: Decimal | None = None


class Prepared(Contract):
    """Result of `prepare`: the frozen plan, the document as ingested, its text."""

    plan: Plan
    document: BlobRef
    text: TextRef
