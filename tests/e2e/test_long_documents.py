"""Long documents: the worker stays small, no history grows with the text, and none of them holds any of it."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

import psutil
import pytest
from temporalio.client import Client

from engross.contracts import SEGMENT_CHUNKS
from starters.running import run
from tests.activities.documents.test_pdf import make_pdf
from tests.e2e.conftest import Engross
from tests.e2e.in_process import reports_of
from tests.e2e.pattern_jobs import marker, scraps

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

MEGABYTE = 1_000_000
PAGES = 600
CHUNKS = 500
MOST_MEMORY = 512 * 2**20
MOST_EVENTS = 2000
MOST_HISTORY = 2 * 2**20
CANARY = "canary-"
WORDS = ("river", "stone", "market", "window", "garden", "letter", "winter", "harbour", "table", "engine")


@dataclass
class Memory:
    """The most that the worker, and its parsers apart, had in memory at a time; bytes."""

    worker: int = 0
    parsers: int = 0


@dataclass(frozen=True)
class Reading:
    """What came of the documents, by name, how much memory it took, and all histories, by workflow id."""

    reports: dict[str, dict[str, Any]]
    memory: Memory
    histories: dict[str, list[bytes]] = field(default_factory=dict)

    def of(self, name: str) -> dict[str, list[bytes]]:
        """The histories of the runs over one document."""
        return {key: events for key, events in self.histories.items() if key.startswith(self.reports[name]["run_id"])}


@pytest.fixture(scope="module")
def reading(engross: Engross, tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """Three long documents, all at once."""
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - for whoever repeats it
    folder = tmp_path_factory.mktemp("long")
    text, pdf, many = folder / "long.txt", folder / "long.pdf", folder / "many.txt"
    text.write_text("\n".join(paragraphs(seed, 3 * MEGABYTE)))
    pdf.write_bytes(make_pdf(*(page(seed, number) for number in range(1, PAGES + 1))))
    many.write_text(scraps(seed, CHUNKS))
    engross.script()
    with watched(engross.worker_pid()) as memory:
        reports = reports_of(engross, ("book", text), ("book", pdf), ("scraps", many))
    by_name = {report["document"]: report for report in reports}
    return Reading(by_name, memory, run(histories(engross, [report["run_id"] for report in reports])))


def paragraphs(seed: int, size: int) -> Iterator[str]:
    """About `size` characters, each paragraph with a number of its own."""
    words = random.Random(seed)  # noqa: S311 - filler
    written = number = 0
    while written < size:
        number += 1
        line = f"Paragraph {CANARY}{seed:06}-{number}: {' '.join(words.choices(WORDS, k=80))}.\n"
        written += len(line)
        yield line


def page(seed: int, number: int) -> list[tuple[float, float, str]]:
    """A page of 40 lines."""
    words = random.Random(seed + number)  # noqa: S311 - filler
    lines = [f"Page {number}, {CANARY}{seed:06}", *(" ".join(words.choices(WORDS, k=10)) for _ in range(39))]
    return [(40, 760 - 18 * place, line) for place, line in enumerate(lines)]


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Looks 20 times a second."""
    memory, over = Memory(), threading.Event()

    def look() -> None:
        worker = psutil.Process(pid)
        while not over.wait(0.05):
            memory.worker = max(memory.worker, worker.memory_info().rss)
            memory.parsers = max([memory.parsers, *map(size_of, worker.children(recursive=True))])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()


def size_of(process: psutil.Process) -> int:
    """Memory of a process that may have ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


async def histories(engross: Engross, run_ids: list[str]) -> dict[str, list[bytes]]:
    """The events of these runs, and of all their child runs, as they are stored."""
    client = await Client.connect(f"127.0.0.1:{engross.environment['ENGROSS_TEMPORAL_PORT']}")
    found: dict[str, list[bytes]] = {}
    for run_id in run_ids:
        async for each in client.list_workflows(f"WorkflowId STARTS_WITH '{run_id}'"):
            events = (await client.get_workflow_handle(each.id).fetch_history()).events
            found[each.id] = [event.SerializeToString() for event in events]
    return found


@pytest.mark.parametrize("name", ["long.txt", "long.pdf", "many.txt"])
def test_a_long_document_is_read_to_its_end(reading: Reading, name: str) -> None:
    report = reading.reports[name]
    assert (report["outcome"], report["missing"]) == ("done", [])
    parts = report["ledger"]
    assert [part["number"] for part in parts] == list(range(1, len(parts) + 1))
    assert {part["state"] for part in parts} == {"mapped"}
    assert parts[0]["start"] == 0
    assert all(before["start"] < after["start"] <= before["end"] + 2 for before, after in pairwise(parts))
    if name == "many.txt":
        assert len(parts) == CHUNKS
        assert report["answer"] == {"section": marker(int(report["answer"]["section"][:6]), 0)}
    if name == "long.txt":
        assert parts[-1]["end"] >= 3 * MEGABYTE - 2
    if name == "long.pdf":
        assert (parts[0]["first_page"], parts[-1]["last_page"]) == (1, PAGES)
        assert all(after["first_page"] <= before["last_page"] + 1 for before, after in pairwise(parts))


def test_the_worker_stays_small(reading: Reading, record_property: Any) -> None:
    told = f"worker {reading.memory.worker / 2**20:.0f} MiB, a parser {reading.memory.parsers / 2**20:.0f} MiB"
    record_property("memory", told)
    print(told)  # noqa: T201 - the figure
    assert reading.memory.worker <= MOST_MEMORY, told
    assert reading.memory.worker > 0


@pytest.mark.parametrize("name", ["long.txt", "long.pdf", "many.txt"])
def test_no_history_grows_with_the_document(reading: Reading, record_property: Any, name: str) -> None:
    found = reading.of(name)
    events = max(map(len, found.values()))
    size = max(sum(map(len, history)) for history in found.values())
    told = f"{len(found)} histories, at most {events} events and {size:,} bytes"
    record_property("histories", told)
    print(told)  # noqa: T201 - the figure
    assert len(found) == 1 + ceil(len(reading.reports[name]["ledger"]) / SEGMENT_CHUNKS) > 2, told
    assert events < MOST_EVENTS, told
    assert size < MOST_HISTORY, told


@pytest.mark.parametrize("name", ["long.txt", "long.pdf", "many.txt"])
def test_no_history_holds_any_text(reading: Reading, name: str) -> None:
    events = [event for history in reading.of(name).values() for event in history]
    assert any(name.encode() in event for event in events)  # what it is called is there to be found
    forbidden = [CANARY.encode(), b"river", *(word.encode() for word in ("Section: ", "red box"))]
    assert not [each for each in forbidden if any(each in event for event in events)]
