"""Documents that come by chance through queues with slots: how long they wait. No clocks, no servers.

Arrivals are a Poisson process; the time of a step is log-normal, as measured times of model calls are: most short, some
very long.
"""

import heapq
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, quantiles
from typing import Final

# The p95 of a step is 3.4 times its median: 1.64 standard deviations of the logarithm, as provider calls show.
_SIGMA: Final = 0.75
_DOCUMENTS: Final = 20_000


@dataclass(frozen=True)
class Queue:
    """A task queue: `slots` over all its workers, `seconds` on average, `visits` of each document on average."""

    name: str
    slots: int
    seconds: float
    visits: float


@dataclass(frozen=True)
class Told:
    """How a queue did. Waits in seconds; `busy` is the share of its slots' time."""

    name: str
    slots: int
    documents: int
    busy: float
    mean: float
    p50: float
    p95: float
    longest: int


def simulate(per_second: float, queues: Sequence[Queue], *, seed: int, documents: int = _DOCUMENTS) -> tuple[Told, ...]:
    """`documents` arrivals at `per_second` through `queues`, one after the other."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    arrivals = list(itertools.islice(_poisson(per_second, chance), documents))
    told = []
    for queue in queues:
        visits = sorted(_visits(arrivals, queue.visits, chance))
        ends, result = _served(queue, visits, documents, chance)
        told.append(result)
        # The next queue gets them in the order in which they leave this one.
        arrivals = sorted(ends)[:documents]
    return tuple(told)


def _poisson(per_second: float, chance: random.Random) -> Iterator[float]:
    now = 0.0
    while True:
        now += chance.expovariate(per_second)
        yield now


def _visits(arrivals: Sequence[float], visits: float, chance: random.Random) -> Iterator[float]:
    # A share of the documents comes once more: a repair, a second step.
    for arrival in arrivals:
        for _ in range(int(visits) + (chance.random() < visits % 1)):
            yield arrival


def _served(queue: Queue, arrivals: Sequence[float], documents: int, chance: random.Random) -> tuple[list[float], Told]:
    free = [0.0] * queue.slots
    starts: list[float] = []
    ends: list[float] = []
    waits: list[float] = []
    busy, longest = 0.0, 0
    median = queue.seconds / math.exp(_SIGMA**2 / 2)
    for number, arrival in enumerate(arrivals):
        start = max(arrival, heapq.heappop(free))
        takes = chance.lognormvariate(math.log(median), _SIGMA)
        heapq.heappush(free, start + takes)
        starts.append(start)
        ends.append(start + takes)
        waits.append(start - arrival)
        busy += takes
        longest = max(longest, _waiting(starts, arrival, number))
    cuts = quantiles(waits, n=100)
    share = busy / (queue.slots * (max(ends) - arrivals[0]))
    return ends, Told(queue.name, queue.slots, documents, share, mean(waits), cuts[49], cuts[94], longest)


def _waiting(starts: Sequence[float], now: float, newest: int) -> int:
    """How many, the newest included, have come and not begun by `now`; they begin in the order in which they came."""
    waiting = 0
    while waiting <= newest and starts[newest - waiting] > now:
        waiting += 1
    return waiting
