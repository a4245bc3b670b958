"""The scenarios, and who competes in each. A contender is one function: it runs a load and says how long it took.

To add one, write such a function and name it in `SCENARIOS`, with the figures that it has to reach.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client as TemporalClient

from benchmarks.documents import Page
from benchmarks.loads import Load, NotMeasured, check_answers
from benchmarks.raw import PAGE, REPORT
from benchmarks.raw_process import RawProcess
from engross.contracts import Outcome
from engross.names import PLAIN_TEXT
from starters.batch_items import BatchItem
from starters.batches import BatchClient
from starters.reports import RunReport

RAW: Final = "raw"


@dataclass(frozen=True)
class Ended:
    """Seconds from the first submission to the last stored result, CPU-seconds of the client, and the workflow ids of
    all runs that took part, those of groups and parents too."""

    wall_seconds: float
    client_cpu_seconds: float
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Competition:
    """What contenders have to work with: the raw process, Engross's client, and Temporal's to look for child runs."""

    raw: RawProcess
    client: BatchClient
    temporal: TemporalClient


Run = Callable[[Competition, Load], Awaitable[Ended]]


@dataclass(frozen=True)
class Contender:
    """`most_x_raw`: wall time over raw's; `most_cpu_ms`: CPU of worker and server together, a document."""

    name: str
    run: Run
    most_x_raw: float | None = None
    most_cpu_ms: float | None = None


@dataclass(frozen=True)
class Scenario:
    """Contenders take turns at the same load; the first one is raw."""

    name: str
    load: Load
    latency_seconds: float
    contenders: tuple[Contender, ...]

    @property
    def title(self) -> str:
        load = self.load
        what = f"one document of {load.parts} chunks" if load.fan_in else f"{load.parts} documents of one page"
        tree = f", fan-in {load.fan_in}" if load.fan_in else ""
        return f"{what}, {self.latency_seconds * 1000:g} ms a call, {load.in_flight} in flight{tree}"

    @property
    def floor_seconds(self) -> float:
        return self.load.floor_seconds(self.latency_seconds)


async def raw(at: Competition, load: Load) -> Ended:
    """Plain asyncio and instructor."""
    answer = await at.raw.run(load)
    return Ended(answer["wall_seconds"], answer["cpu_seconds"])


async def single_runs(at: Competition, load: Load) -> Ended:
    """A run a document, submitted and waited for by this process.

    At most `in_flight` documents are under way, so never more calls than raw may make. It is less most of the time, as
    a run also reads and stores: that is part of what it costs to have a run.
    """
    wanted = load.pages()
    gate = asyncio.Semaphore(load.in_flight)

    async def one(page: Page) -> RunReport:
        async with gate:
            run = await at.client.submit(PAGE, page.text.encode(), name=page.name)
            return await at.client.wait(run.run_id)

    began, cpu_began = time.perf_counter(), time.process_time()
    reports = await asyncio.gather(*map(one, wanted))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    return Ended(wall, cpu, _checked(wanted, reports))


async def map_reduce(at: Competition, load: Load) -> Ended:
    """One run of a job whose document is all the pages."""
    text = "\f".join(page.text for page in load.pages())
    began, cpu_began = time.perf_counter(), time.process_time()
    run = await at.client.submit(REPORT, text.encode(), name="report.txt")
    report = await at.client.wait(run.run_id)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    if report.outcome is not Outcome.DONE:
        raise NotMeasured(f"the run ended as {report.outcome.value}: {report.error.message if report.error else ''}")
    return Ended(wall, cpu, (run.run_id,))


async def batch(at: Competition, load: Load) -> Ended:
    """All documents as one batch."""
    wanted = load.pages()
    items = [BatchItem(page.name, page.text.encode(), media_type=PLAIN_TEXT) for page in wanted]
    began, cpu_began = time.perf_counter(), time.process_time()
    submitted = await at.client.submit_batch(PAGE, items, at_once=load.in_flight)
    handle = at.temporal.get_workflow_handle(submitted.batch_id)
    await handle.result()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    rows = [row async for row in at.client.batch_rows(submitted.batch_id)]
    if {row.outcome for row in rows} != {Outcome.DONE.value} or len(rows) != load.documents:
        raise NotMeasured("a row of the batch is not done, or is missing")
    reports = await asyncio.gather(*(at.client.result(row.run_id) for row in rows))
    _checked(wanted, reports)
    history = await handle.fetch_history()
    started = [event.child_workflow_execution_started_event_attributes for event in history.events]
    groups = [child.workflow_execution.workflow_id for child in started if child.workflow_execution.workflow_id]
    return Ended(wall, cpu, (submitted.batch_id, *groups))


def _checked(wanted: list[Page], reports: list[RunReport]) -> tuple[str, ...]:
    """The runs' ids, if all are done with the right answers. Raises `NotMeasured`."""
    for report in reports:
        if report.outcome is not Outcome.DONE:
            raise NotMeasured(f"a run ended as {report.outcome.value}: {report.error.message if report.error else ''}")
    check_answers(wanted, [(report.answer["reference"], report.answer["total"]) for report in reports])
    return tuple(report.run_id or "" for report in reports)


_RAW: Final = Contender(RAW, raw)
_PAGES: Final = Load(parts=300, in_flight=64)

SCENARIOS: Final = (
    Scenario(
        name="a",
        load=Load(parts=64, in_flight=16, fan_in=8),
        latency_seconds=0.3,
        contenders=(_RAW, Contender("map_reduce", map_reduce, most_x_raw=1.1)),
    ),
    Scenario(
        name="b",
        load=_PAGES,
        latency_seconds=0.3,
        contenders=(
            _RAW,
            Contender("batch", batch, most_x_raw=1.2),
            Contender("single runs", single_runs, most_x_raw=2.2),
        ),
    ),
    Scenario(
        name="c",
        load=_PAGES,
        latency_seconds=0.0,
        contenders=(_RAW, Contender("batch", batch, most_cpu_ms=14), Contender("single runs", single_runs)),
    ),
)
