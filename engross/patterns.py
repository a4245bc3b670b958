"""The patterns as values: what a job asks, in which shape. Each runs as the workflow type that it names."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal, Protocol

from engross.contracts import FanOutOptions, MapReduceOptions, Options, RefineOptions, Route, RouterOptions
from engross.step import Step


class Pattern(Protocol):
    """What all patterns have: their workflow type, their steps, and what the workflow has to know beside them.

    `tells` are the fields that a step's answers must have, because the workflow goes by them. `official` is the step
    whose answers become the official copy; None for a pattern that gives no answer of its own.
    """

    @property
    def workflow(self) -> str: ...

    @property
    def steps(self) -> tuple[Step, ...]: ...

    @property
    def options(self) -> Options | None: ...

    @property
    def tells(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def official(self) -> Step | None: ...


@dataclass(frozen=True)
class Chain:
    """Steps in order; each sees the document and the checked answer of the step before."""

    steps: tuple[Step, ...]
    workflow: ClassVar[str] = "chain"
    options: ClassVar[None] = None
    tells: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, *steps: Step) -> None:
        if not steps:
            raise ValueError("a chain needs at least one step")
        object.__setattr__(self, "steps", steps)

    @property
    def official(self) -> Step:
        return self.steps[-1]


@dataclass(frozen=True)
class MapReduce:
    """Splits a document into chunks, maps each to an answer, and reduces these to one, in a tree when they are many.

    A `reduce` reads answers of `map` and of itself. A document of one chunk is not reduced when both have the same
    output schema. The rest as in `engross.contracts.MapReduceOptions`.
    """

    map: Step
    reduce: Step
    _: KW_ONLY
    chunk_tokens: int = 4000
    overlap_tokens: int = 200
    at_once: int = 16
    fan_in: int = 8
    reduce_tokens: int = 16_000
    partial: bool = False
    workflow: ClassVar[str] = "map_reduce"
    tells: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        if self.overlap_tokens > self.chunk_tokens // 2:
            raise ValueError("overlap_tokens is at most half of chunk_tokens")
        _ = self.options  # says at once what is out of range

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.map, self.reduce)

    @property
    def options(self) -> MapReduceOptions:
        names = set(MapReduceOptions.model_fields) - {"kind"}
        return MapReduceOptions(**{name: getattr(self, name) for name in names})

    @property
    def official(self) -> Step:
        return self.reduce


@dataclass(frozen=True)
class FanOut:
    """Asks several perspectives about one document at once; `synthesis` sees all their answers, and makes one of them.

    The synthesis doesn't read the document. `partial` lets it go on without a perspective that gave no answer.
    """

    perspectives: tuple[Step, ...]
    synthesis: Step
    _: KW_ONLY
    partial: bool = False
    workflow: ClassVar[str] = "fan_out"
    tells: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        if not self.perspectives:
            raise ValueError("a fan-out needs at least one perspective")

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*self.perspectives, self.synthesis)

    @property
    def options(self) -> FanOutOptions:
        return FanOutOptions(partial=self.partial)

    @property
    def official(self) -> Step:
        return self.synthesis


@dataclass(frozen=True)
class Router:
    """Classifies a document, then runs the job that `routes` names for its label, as a run of its own.

    The output of `classify` has the fields `label` (a string or enum) and `confidence` (0 to 1). Under `bar`,
    `fallback` runs instead; without one the document goes to a person, as it does with a label that no route has.
    """

    classify: Step
    routes: Mapping[str, str]
    _: KW_ONLY
    fallback: str | None = None
    bar: float = 0.7
    official: ClassVar[None] = None
    workflow: ClassVar[str] = "router"

    def __post_init__(self) -> None:
        if not self.routes:
            raise ValueError("a router needs at least one route")
        _ = self.options

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.classify,)

    @property
    def options(self) -> RouterOptions:
        routes = tuple(Route(label=label, job=job) for label, job in self.routes.items())
        fallback = Route(label="", job=self.fallback) if self.fallback else None
        return RouterOptions(routes=routes, fallback=fallback, bar=self.bar)

    @property
    def tells(self) -> dict[str, tuple[str, ...]]:
        return {self.classify.name: ("label", "confidence")}


@dataclass(frozen=True)
class Refine:
    """Generates, evaluates, and generates again with the evaluator's words, until an attempt scores `bar`.

    The output of `evaluate` has the field `score` (0 to 1) and may have `issues`, a list. After `rounds` attempts the
    best one is the answer; `below` says what happens when it doesn't reach the bar.
    """

    generate: Step
    evaluate: Step
    _: KW_ONLY
    bar: float = 0.8
    rounds: int = 3
    below: Literal["flag", "approval"] = "flag"
    workflow: ClassVar[str] = "refine"

    def __post_init__(self) -> None:
        _ = self.options

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.generate, self.evaluate)

    @property
    def options(self) -> RefineOptions:
        return RefineOptions(bar=self.bar, rounds=self.rounds, below=self.below)

    @property
    def tells(self) -> dict[str, tuple[str, ...]]:
        issues = ("issues",) if "issues" in self.evaluate.output.model_fields else ()
        return {self.evaluate.name: ("score", *issues)}

    @property
    def official(self) -> Step:
        return self.generate


@dataclass(frozen=True)
class Custom:
    """A workflow of the job's own: the class of that workflow type in the job folder's `workflow.py`, and its steps."""

    workflow: str
    steps: tuple[Step, ...]
    tells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: ClassVar[None] = None

    @property
    def official(self) -> Step:
        return self.steps[-1]
