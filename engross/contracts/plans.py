"""What a run will do, resolved by its first step and frozen from then on."""

from decimal import Decimal

from engross.contracts.patterns import Options
from engross.contracts.policies import Approval
from engross.contracts.references import BlobRef, Contract


class ModelRef(Contract):
    """One model of one provider, written `openai:gpt-4.1-mini`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


class StepPlan(Contract):
    """One step of a job as frozen for one run: later edits of the job don't reach it.

    `tells` names the fields of an answer whose values its reply carries to the workflow: numbers, labels that the
    schema or a route lists, and of lists the length.
    """

    name: str
    prompt: BlobRef
    prompt_version: str
    schema_version: str
    route: tuple[ModelRef, ...]
    max_output_tokens: int
    temperature: float = 0.0
    repairs: int = 1
    tells: tuple[str, ...] = ()


class Plan(Contract):
    """What a run will do, resolved by its first step. `budget_usd` caps its model calls; None is no cap.

    `stores_here` says that the worker which runs the workflow stores its outcome too. `official` names the step whose
    answers become the official copy, `approval` who decides on them, and `assess` is the step that is asked for their
    risk.
    """

    job: str
    job_version: str
    pattern: str
    steps: tuple[StepPlan, ...]
    budget_usd: Decimal | None = None
    options: Options | None = None
    stores_here: bool = False
    official: str = ""
    approval: Approval | None = None
    assess: StepPlan | None = None

    def step(self, name: str) -> StepPlan:
        """The step called `name`. Raises LookupError when there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise LookupError(f"the plan has no step {name!r}")
