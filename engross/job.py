"""What users write: a job is an output schema, prompts and a pattern."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engross.contracts import MOST_DOLLARS, Approval, ModelRef
from engross.patterns import Pattern
from engross.routes import Tier
from engross.step import Step, version_of

RISK: Final = "risk"
"""The field by which an assess step tells what it found."""


@dataclass(frozen=True)
class Job:
    """The one value `JOB` of a `job.py`. Its name is its folder's name.

    `budget_usd` caps the model calls of one run; a run that reaches it waits until somebody raises it. Default: the
    installation's ENGROSS_BUDGET_RUN_USD. `approval` says when people must look at an answer before it is stored;
    `assess` is the step that is asked for the risk where the rules of `approval` leave it open: its output has a field
    `risk`, an enum of `engross.Risk`.
    """

    description: str
    pattern: Pattern
    budget_usd: Decimal | None = None
    approval: Approval | None = None
    assess: Step | None = None

    def __post_init__(self) -> None:
        if self.budget_usd is not None and not 0 < self.budget_usd <= MOST_DOLLARS:
            raise ValueError(f"budget_usd is more than 0 and at most {MOST_DOLLARS:,}")
        if self.approval is not None and self.pattern.official is None:
            raise ValueError("a router gives no answer of its own: the jobs that it leads to declare the approval")
        is_open = self.approval is not None and self.approval.otherwise is None
        if is_open != (self.assess is not None):
            raise ValueError("approval with otherwise=None needs an assess step, and nothing else does")


@dataclass(frozen=True)
class LoadedJob:
    """A job with its name, its folder and its prompts (step name -> text), ready to run.

    `workflow` is the class of a job that brings its own; `leads_to` are the jobs that a router runs.
    """

    name: str
    folder: Path
    job: Job
    prompts: dict[str, str] = field(hash=False)
    workflow: type[Any] | None = None
    leads_to: tuple["LoadedJob", ...] = field(default=(), hash=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the pattern, and the one that assesses the risk."""
        return self.job.pattern.steps + ((self.job.assess,) if self.job.assess else ())

    @property
    def waits_for_people(self) -> bool:
        """Whether a run may wait for a decision."""
        return self.job.approval is not None or any(each.waits_for_people for each in self.leads_to)

    def models(self, routes: Mapping[Tier, tuple[ModelRef, ...]]) -> list[ModelRef]:
        """All models that a run may ask, in order, where the installation's tiers are `routes`."""
        own = [model for step in self.steps for model in step.models(routes)]
        return own + [model for each in self.leads_to for model in each.models(routes)]

    def step(self, name: str) -> Step:
        """The step called `name`; KeyError when the job has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def samples(self) -> list[Path]:
        """The documents in `samples/`; a demo and a test run them."""
        files = sorted((self.folder / "samples").glob("[!.]*"))
        return [file for file in files if file.is_file()]

    def version(self) -> str:
        """Changes when anything that can change an answer changes: prompts, schemas, limits."""
        parts = [self.job.pattern.workflow]
        for step in self.steps:
            parts += [step.name, self.prompts[step.name], step.schema_version()]
            parts += [str(step.max_output_tokens), str(step.temperature), str(step.repairs), step.tier, step.route]
        if self.job.pattern.options is not None:
            parts.append(self.job.pattern.options.model_dump_json())
        if self.job.approval is not None:
            parts.append(self.job.approval.model_dump_json())
        parts += [each.version() for each in self.leads_to]
        return version_of("\0".join(parts))
