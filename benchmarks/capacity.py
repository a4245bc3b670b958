"""What a load needs, by arithmetic: slots, processes, provider limits, CPU, history. `capacity_sim` checks the queues.

    python -m benchmarks.capacity --documents-per-hour 100000

The figures a document are measured (docs/batches.md, docs/scale.md); whoever has others gives them as options.
"""

import math
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields

from benchmarks.capacity_sim import Queue, simulate

# Above this share of busy slots, queues grow faster than the load; half as much again is left for a burst.
_BUSY_AT_MOST = 0.65
_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Load:
    """Documents an hour, and what each of them takes. Times in seconds, `*_ms` of CPU, `history_kb` of 1,000 bytes."""

    documents_per_hour: float
    in_batches: float = 1
    calls: float = 1.2
    call_seconds: float = 6.0
    tokens_a_call: float = 3_000
    parse_seconds: float = 0.4
    retention_days: float = 7

    @property
    def per_second(self) -> float:
        return self.documents_per_hour / _SECONDS_AN_HOUR

    @property
    def worker_ms(self) -> float:
        return 13 if self.in_batches else 29

    @property
    def server_ms(self) -> float:
        return 10 if self.in_batches else 34

    @property
    def events(self) -> float:
        return 5 if self.in_batches else 14

    @property
    def history_kb(self) -> float:
        return 2.6 if self.in_batches else 5.0


@dataclass(frozen=True)
class Needs:
    """What the load takes. `cores` are busy ones; `updates_per_second` are writes of Temporal's database."""

    model_slots: int
    parsers: int
    requests_per_minute: float
    tokens_per_minute: float
    worker_cores: float
    server_cores: float
    parser_cores: float
    events_per_second: float
    history_gb: float


def needs(load: Load) -> Needs:
    """By Little's law: what is busy at a time is what comes in a second times what each takes."""
    calls = load.per_second * load.calls
    return Needs(
        model_slots=_with_room(calls * load.call_seconds),
        parsers=_with_room(load.per_second * load.parse_seconds),
        requests_per_minute=calls * 60,
        tokens_per_minute=calls * 60 * load.tokens_a_call,
        worker_cores=load.per_second * load.worker_ms / 1000,
        server_cores=load.per_second * load.server_ms / 1000,
        parser_cores=load.per_second * load.parse_seconds,
        events_per_second=load.per_second * load.events,
        history_gb=load.documents_per_hour * 24 * load.retention_days * load.history_kb / 1e6,
    )


def _with_room(busy: float) -> int:
    # The square root keeps small groups from waiting: chance weighs more where little is busy.
    return math.ceil(busy / _BUSY_AT_MOST + math.sqrt(busy))


def queues(load: Load) -> tuple[Queue, ...]:
    """The queues that a document goes through, with what `needs` says of each."""
    found = needs(load)
    return (
        Queue("documents", found.parsers, load.parse_seconds, visits=1),
        Queue("models", found.model_slots, load.call_seconds, visits=load.calls),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what the load needs, and how long things wait with that."""
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    for field in fields(Load):
        needed = field.default is MISSING
        default = None if needed else field.default
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=float, required=needed, default=default, help=" ", metavar="N")
    parser.add_argument("--seed", type=int, default=1, help=" ")
    given = vars(parser.parse_args(arguments))
    seed = given.pop("seed")
    load = Load(**given)
    for name, value in vars(needs(load)).items():
        _say(f"{name:22} {value:,.10g}" if isinstance(value, int) else f"{name:22} {value:,.2f}")
    for told in simulate(load.per_second, queues(load), seed=seed):
        _say(
            f"queue {told.name:16} busy {told.busy:.0%} of {told.slots}, waits p50 {told.p50:.2f} s,"
            f" p95 {told.p95:.2f} s, longest queue {told.longest}, {told.documents:,} documents, seed {seed}"
        )
    return 0


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the command's output


if __name__ == "__main__":
    raise SystemExit(main())
