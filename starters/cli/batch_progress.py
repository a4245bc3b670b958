"""A batch as it goes on: one line that changes on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from starters.batch_reports import BatchReport, BatchState
from starters.cli.output import clean, money, note

Seen = Callable[[BatchReport], None]

_PLAIN_EVERY_SECONDS: Final = 5.0
_LIVE_EVERY_SECONDS: Final = 1.0
_OUTCOMES: Final = ("done", "partial", "failed", "cancelled", "needs_approval", "rejected", "parked", "duplicate")
_ALWAYS_SHOWN: Final = ("done", "failed")


def every_seconds() -> float:
    """How often it is worth asking."""
    return _LIVE_EVERY_SECONDS if sys.stderr.isatty() else _PLAIN_EVERY_SECONDS


@contextmanager
def live_progress() -> Iterator[Seen]:
    """Shows each report that what this yields is called with."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task("", total=None)
            yield lambda report: bar.update(
                task, total=report.total, completed=report.ended, description=clean(line_of(report))
            )
    else:
        yield _plain_lines()


def line_of(report: BatchReport) -> str:
    """`12 of 40: 11 done, 1 failed, 28 running; $0.01; 310 a minute; 0:00:05 left`."""
    if not report.total and not report.has_ended:
        return "the manifest is being read"
    parts = [f"{report.ended:,} of {report.total:,}: {counts_of(report)}", cost_of(report)]
    if report.per_minute:
        parts.append(f"{report.per_minute:,.0f} a minute")
    if report.eta_seconds is not None and not report.has_ended:
        parts.append(f"{timedelta(seconds=round(report.eta_seconds))} left")
    if report.state is not BatchState.RUNNING:
        parts.append(report.state.value)
    return "; ".join(parts)


def counts_of(report: BatchReport) -> str:
    """The outcomes that there are."""
    counts = {name: int(getattr(report, name)) for name in _OUTCOMES}
    shown = [
        f"{counts[name]:,} {name.replace('_', ' ')}" for name in _OUTCOMES if counts[name] or name in _ALWAYS_SHOWN
    ]
    running = [] if report.has_ended else [f"{report.running:,} running"]
    return ", ".join([*shown, *running])


def cost_of(report: BatchReport) -> str:
    """What it came to as far as prices are known."""
    return money(report.cost_usd) + (f" and {report.unpriced:,} unknown" if report.unpriced else "")


def _bar() -> Progress:
    return Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True, markup=False),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def _plain_lines() -> Seen:
    said: float | None = None

    def see(report: BatchReport) -> None:
        nonlocal said
        if said is None or time.monotonic() - said >= _PLAIN_EVERY_SECONDS / 2:
            said = time.monotonic()
            note(line_of(report))

    return see
