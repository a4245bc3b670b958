"""What a scenario asks of whoever runs it, and the least time that it can take."""

import math
from dataclasses import dataclass
from itertools import accumulate

from benchmarks.documents import Page, pages


class NotMeasured(Exception):
    """The run did something else than what is measured, so its figures mean nothing. The message says what."""


@dataclass(frozen=True)
class Load:
    """`parts` model calls, `in_flight` at most at once; `seed` makes the documents of this one run.

    With `fan_in` the parts are the chunks of one document, whose answers are reduced in a tree, so many by one call;
    without it each is a document of its own.
    """

    parts: int
    in_flight: int
    fan_in: int | None = None
    seed: int = 0

    @property
    def documents(self) -> int:
        return 1 if self.fan_in else self.parts

    @property
    def levels(self) -> tuple[int, ...]:
        """Calls of each level of the tree, the parts first; each level needs the answers of the one before."""
        sizes = [self.parts]
        while self.fan_in and sizes[-1] > 1:
            sizes.append(math.ceil(sizes[-1] / self.fan_in))
        return tuple(sizes)

    @property
    def calls(self) -> int:
        return sum(self.levels)

    def floor_seconds(self, latency_seconds: float) -> float:
        """The time of calls that have to follow each other: all that nobody can save."""
        return sum(math.ceil(size / self.in_flight) for size in self.levels) * latency_seconds

    def pages(self) -> list[Page]:
        """The documents, or the chunks of the one."""
        return pages(self.seed, self.parts)


def check_answers(wanted: list[Page], found: list[tuple[str, float]]) -> None:
    """Raises `NotMeasured` unless the (reference, total) found are those of the pages, in order."""
    right = sum((page.reference, page.total) == answer for page, answer in zip(wanted, found, strict=True))
    if right < len(wanted):
        raise NotMeasured(f"only {right} of {len(wanted)} answers are right")


def peak(arrivals: list[float], latency_seconds: float) -> int:
    """The most calls that were in flight at once: a call stays for `latency_seconds` from its arrival."""
    steps = sorted([(at, 1) for at in arrivals] + [(at + latency_seconds, -1) for at in arrivals])
    return max(accumulate(step for _, step in steps), default=0)
