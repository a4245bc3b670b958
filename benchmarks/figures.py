"""From samples to figures: medians with their spread, and ratios."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cpu import PARSERS
from benchmarks.rounds import Sample
from benchmarks.scenarios import RAW, Contender, Scenario
from workers.local.services import TEMPORAL, WORKER


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the least and the most of them."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Figures:
    """What a contender came to. CPU in ms a document by process; `worker_and_server` counts the parsers too.

    `x_raw` is taken round by round, so that what slows down a whole round doesn't count; None for raw itself, and
    `x_floor` None where the floor is 0. `events` and `bytes` a document are None where no run took part.
    """

    wall_seconds: Spread
    documents_per_second: Spread
    x_floor: Spread | None
    x_raw: Spread | None
    cpu_ms: Mapping[str, Spread]
    worker_and_server_ms: Spread
    events: float | None
    bytes: float | None


def spread(values: Iterable[float]) -> Spread:
    """Of one value at least."""
    every = sorted(values)
    return Spread(median(every), every[0], every[-1])


def figures(scenario: Scenario, samples: Mapping[str, Sequence[Sample]]) -> dict[str, Figures]:
    """The figures of each contender, by name."""
    return {name: _of(scenario, each, samples[RAW], is_raw=name == RAW) for name, each in samples.items()}


def verdict(contender: Contender, found: Figures) -> str:
    """`<= 2.2x raw: met`, one for each figure that the contender has to reach."""
    ours = found.worker_and_server_ms.median
    aims = (
        (contender.most_x_raw, found.x_raw.median if found.x_raw else None, "x raw"),
        (contender.most_cpu_ms, ours, " CPU-ms"),
    )
    return ", ".join(
        f"<= {most:g}{unit}: {'met' if figure <= most else 'missed'}"
        for most, figure, unit in aims
        if most is not None and figure is not None
    )


def _of(scenario: Scenario, samples: Sequence[Sample], raw: Sequence[Sample], *, is_raw: bool) -> Figures:
    documents, floor = scenario.load.documents, scenario.floor_seconds

    def ms(*processes: str) -> Spread:
        return spread(sum(sample.cpu[name] for name in processes) * 1000 / documents for sample in samples)

    histories = [sample.history for sample in samples if sample.history]
    ratios = [sample.wall_seconds / other.wall_seconds for sample, other in zip(samples, raw, strict=True)]
    return Figures(
        wall_seconds=spread(sample.wall_seconds for sample in samples),
        documents_per_second=spread(documents / sample.wall_seconds for sample in samples),
        x_floor=spread(sample.wall_seconds / floor for sample in samples) if floor else None,
        x_raw=None if is_raw else spread(ratios),
        cpu_ms={name: ms(name) for name in samples[0].cpu},
        worker_and_server_ms=ms(WORKER, PARSERS, TEMPORAL),
        events=median(history.events for history in histories) / documents if histories else None,
        bytes=median(history.bytes for history in histories) / documents if histories else None,
    )
