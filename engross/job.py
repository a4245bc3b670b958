"""What users write: a job is an output schema, prompts and a pattern."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel

from engross.contracts import MOST_DOLLARS, ModelRef
from engross.routes import Tier, parse_route

_VERSION_DIGITS: Final = 12


@dataclass(frozen=True)
class Step:
    """One durable model call: one prompt file (`prompts/<name>.md`) and one output schema.

    `max_output_tokens` caps the reply; `repairs` is how often an invalid answer may be sent back to the model with its
    validation errors (a deterministic fix comes first and is free). `tier` picks the installation's route of models;
    `route` names one outright (`"openai:gpt-4.1,anthropic:claude-sonnet-4-5"`).
    """

    name: str
    output: type[BaseModel]
    max_output_tokens: int = 4096
    temperature: float = 0.0
    repairs: int = 1
    tier: Tier = "medium"
    route: str = ""

    def models(self, routes: Mapping[Tier, tuple[ModelRef, ...]]) -> tuple[ModelRef, ...]:
        """The models to ask, first choice first, where the installation's tiers are `routes`."""
        return parse_route(self.route) if self.route else routes[self.tier]

    def schema_version(self) -> str:
        """Changes when the output schema changes."""
        return version_of(json.dumps(self.output.model_json_schema(), sort_keys=True))


@dataclass(frozen=True)
class Chain:
    """Steps in order; each sees the document and the checked answer of the step before."""

    steps: tuple[Step, ...]
    workflow: ClassVar[str] = "chain"

    def __init__(self, *steps: Step) -> None:
        if not steps:
            raise ValueError("a chain needs at least one step")
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True)
class Job:
    """The one value `JOB` of a `job.py`. Its name is its folder's name.

    `budget_usd` caps the model calls of one run; a run that reaches it waits until somebody raises it. Default: the
    installation's ENGROSS_BUDGET_RUN_USD.
    """

    description: str
    pattern: Chain
    budget_usd: Decimal | None = None

    def __post_init__(self) -> None:
        if self.budget_usd is not None and not 0 < self.budget_usd <= MOST_DOLLARS:
            raise ValueError(f"budget_usd is more than 0 and at most {MOST_DOLLARS:,}")


@dataclass(frozen=True)
class LoadedJob:
    """A job with its name, its folder and its prompts (step name -> text), ready to run."""

    name: str
    folder: Path
    job: Job
    prompts: dict[str, str] = field(hash=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.job.pattern.steps

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
        return version_of("\0".join(parts))


def version_of(text: str) -> str:
    """A short content hash, enough to tell versions of a prompt or schema apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]
