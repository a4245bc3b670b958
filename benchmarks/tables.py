"""The figures as tables, for 100 columns."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from benchmarks.cpu import PARSERS
from benchmarks.figures import Figures, Spread, figures, verdict
from benchmarks.rounds import Sample
from benchmarks.scenarios import Scenario
from workers.local.services import TEMPORAL, VALKEY, WORKER

Samples = Mapping[str, Sequence[Sample]]
_PROCESSES = (WORKER, PARSERS, TEMPORAL, VALKEY, "client")


def scenario_tables(scenario: Scenario, samples: Samples) -> Iterator[Text | Table]:
    """A heading, the wall times, what a document costs, and where the time went."""
    found = figures(scenario, samples)
    floor = f", floor {scenario.floor_seconds:.2f} s" if scenario.floor_seconds else ""
    yield Text(f"\n({scenario.name}) {scenario.title}{floor}\n", style="bold")
    yield _walls(scenario, found, samples)
    yield Text("\nA document: CPU-ms (together: worker, parsers and Temporal), events and bytes of history")
    yield _prices(found)
    for name, each in samples.items():
        if each[-1].history:
            yield Text(f"\n{name}, last round: ms in the queue and at work, medians")
            yield _steps(each[-1])
    for contender in scenario.contenders:
        if told := verdict(contender, found[contender.name]):
            yield Text(f"\naim of {contender.name}: {told}")


def _walls(scenario: Scenario, found: Mapping[str, Figures], samples: Samples) -> Table:
    table = _table("", "wall s", "min..max", "docs/s", "x floor", "x raw", "min..max", "at once", "load")
    for contender in scenario.contenders:
        each = found[contender.name]
        table.add_row(
            contender.name,
            f"{each.wall_seconds.median:.2f}",
            _range(each.wall_seconds),
            f"{each.documents_per_second.median:.1f}",
            f"{each.x_floor.median:.2f}" if each.x_floor else "",
            f"{each.x_raw.median:.2f}" if each.x_raw else "",
            _range(each.x_raw) if each.x_raw else "",
            str(max(sample.calls_at_once or 0 for sample in samples[contender.name]) or ""),
            f"{max(sample.load_average for sample in samples[contender.name]):.1f}",
        )
    return table


def _prices(found: Mapping[str, Figures]) -> Table:
    table = _table("", *_PROCESSES, "together", "min..max", "events", "bytes")
    for name, each in found.items():
        cpu = (f"{each.cpu_ms[process].median:.1f}" for process in _PROCESSES)
        ours = each.worker_and_server_ms
        kept = (f"{each.events:.1f}" if each.events else "", f"{each.bytes:,.0f}" if each.bytes else "")
        table.add_row(name, *cpu, f"{ours.median:.1f}", f"{ours.least:.1f}..{ours.most:.1f}", *kept)
    return table


def _steps(sample: Sample) -> Table:
    table = _table("", "times", "queued", "working")
    for step in sample.history.steps if sample.history else ():
        table.add_row(step.step, str(step.times), f"{step.queued_ms:.0f}", f"{step.working_ms:.0f}")
    return table


def _range(spread: Spread) -> str:
    return f"{spread.least:.2f}..{spread.most:.2f}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(name, no_wrap=True, justify="right" if place else "left")
    return table
