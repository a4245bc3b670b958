"""A run: how it is asked for, and the plan that its first step makes of that."""

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.decoding import decoded, problem_of
from engross.contracts.money import RunBudget
from engross.contracts.plans import Plan
from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, DocumentSource, TextRef
from engross.contracts.results import Spent


class Inherited(Contract):
    """What a run has from another that started it.

    `parent` hears when it parks; `budget` is shared. A document that moved out of a batch finds its replies again by
    their `scope`, and takes along what it has `spent`.
    """

    parent: str = ""
    budget: RunBudget | None = None
    scope: str = ""
    spent: tuple[Spent, ...] = ()


class RunRequest(Contract):
    """The input of every pattern's workflow; small enough to type by hand in the Web UI.

    Temporal retries a workflow whose input cannot be decoded for ever, so anything decodes here and
    `complaint` says what is wrong with it: the run then ends with a named error. `submitter` is who asked for it, and
    can't decide on it; `review` asks for a person's decision whatever the risk.
    """

    job: str = ""
    document: DocumentSource = DocumentSource()
    tenant: str = DEFAULT_TENANT
    cache: bool = True
    inherited: Inherited | None = None
    submitter: str = ""
    review: bool = False
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)

    def complaint(self) -> str:
        """What keeps this request from being run, with the fix; empty when nothing does."""
        if self.unusable:
            return f'{self.unusable}; expected {{"job": ..., "document": {{"uri": ...}}, "tenant": ...}}'
        return problem_of(self.job, self.tenant, self.document, "document")


class Prepared(Contract):
    """Result of `prepare`: the frozen plan, the document as ingested, its text."""

    plan: Plan
    document: BlobRef
    text: TextRef
