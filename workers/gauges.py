"""What a worker measures of the installation as a whole, looked up in the background and never while it is scraped.

Every worker that serves `workflows` tells the same numbers: dashboards take the highest.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

EVERY_SECONDS: Final = 15.0

CIRCUIT_STATE: Final = Gauge("engross_circuit_state", "0 closed, 0.5 half open, 1 open", ("provider",))
BUDGET_LIMIT: Final = Gauge("engross_budget_limit_usd", "Limit of a budget, raises included", ("scope", "name"))
BUDGET_USED: Final = Gauge("engross_budget_used_usd", "Spent, maybe billed and reserved of a budget", ("scope", "name"))
APPROVALS_WAITING: Final = Gauge("engross_approvals_waiting", "Open approvals", ("job", "tenant", "risk"))
APPROVALS_OVERDUE: Final = Gauge("engross_approvals_overdue", "Open approvals past their time", ("job", "tenant"))
APPROVAL_OLDEST: Final = Gauge(
    "engross_approval_oldest_seconds", "Age of the approval that is open longest", ("job", "tenant")
)
RUNS_OPEN: Final = Gauge("engross_runs_open", "Runs of documents that have not ended")
RUNS_WAITING: Final = Gauge("engross_runs_waiting", "Runs that wait for somebody", ("outcome",))
RUNS_STUCK: Final = Gauge("engross_runs_with_task_problems", "Runs whose workflow tasks fail again and again")
BACKLOG: Final = Gauge("engross_queue_backlog", "Tasks that wait for a worker", ("queue", "kind"))
BACKLOG_AGE: Final = Gauge("engross_queue_backlog_age_seconds", "Age of the task that waits longest", ("queue", "kind"))
POLLERS: Final = Gauge("engross_queue_pollers", "Workers that have asked for tasks lately", ("queue", "kind"))
BUILD: Final = Gauge("engross_build_info", "What runs here", ("version", "build_id"))

WATCH_FAILURES: Final = Counter("engross_watch_failures", "Times a source of these numbers failed", ("source",))
WATCH_AGE: Final = Gauge("engross_watch_age_seconds", "Time since all sources last answered")

_SOURCE_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """One number. `labels` in the gauge's order; empty for a gauge without."""

    gauge: Gauge
    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where some of the numbers come from. `read` gives all of those of `gauges`: what is left out is gone."""

    gauges: Sequence[Gauge]
    read: Callable[[], Awaitable[Iterable[Reading]]]


def tell_build(version: str, build_id: str) -> None:
    """Says what runs here. To be called once."""
    BUILD.labels(version, build_id).set(1)


async def watch(sources: Mapping[str, Source], every_seconds: float = EVERY_SECONDS) -> None:
    """Keeps the numbers of `sources`, by their names, up to date until cancelled.

    A source that fails keeps the numbers that it gave last, is counted, and troubles no other.
    """
    complete = time.monotonic()
    WATCH_AGE.set_function(lambda: time.monotonic() - complete)
    failing: frozenset[str] = frozenset()
    while True:
        good = await asyncio.gather(*(_refresh(name, each, name in failing) for name, each in sources.items()))
        failing = frozenset(name for name, is_good in zip(sources, good, strict=True) if not is_good)
        if not failing:
            complete = time.monotonic()
        await asyncio.sleep(every_seconds)


async def _refresh(name: str, source: Source, is_known: bool) -> bool:
    """Whether the source answered. The log hears of its trouble once."""
    try:
        async with asyncio.timeout(_SOURCE_SECONDS):
            readings = list(await source.read())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one source, the others are looked at
        WATCH_FAILURES.labels(name).inc()
        if not is_known:
            _log.warning("numbers could not be looked up", source=name, error=type(error).__name__)
        return False
    _show(source.gauges, readings)
    return True


def _show(gauges: Sequence[Gauge], readings: Iterable[Reading]) -> None:
    # Nothing is awaited in between, so no scrape sees a part of it.
    for gauge in gauges:
        gauge.clear()
    for reading in readings:
        (reading.gauge.labels(*reading.labels) if reading.labels else reading.gauge).set(reading.value)
