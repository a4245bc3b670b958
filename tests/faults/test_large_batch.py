"""Ten thousand documents in one batch, one in a hundred of them poison: what it costs, and that nothing is lost.

Only with FAULTS=long, as it takes minutes.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from starters.batch_reports import BatchReport
from starters.running import run
from tests.e2e.conftest import Engross
from tests.e2e.in_process import asked
from tests.e2e.pattern_jobs import write_pattern_jobs
from tests.faults.figures import Record, tell
from tests.faults.fleet import LONG, MODELS, WORKFLOWS_AND_DOCUMENTS, Fleet, servers

pytestmark = [
    pytest.mark.xdist_group("large_batch"),
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not LONG, reason="takes minutes"),
]

DOCUMENTS = 10_000
POISONED = DOCUMENTS // 100
FIRST = 1_000
MOST_GROWTH = 1.10
MOST_HISTORY_BYTES = 4096
LOOK_EVERY_SECONDS = 1.0
POISON = "this document is poison"


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """Servers without a worker."""
    jobs = write_pattern_jobs(tmp_path_factory.mktemp("jobs"))
    with servers(tmp_path_factory.mktemp("servers"), ENGROSS_JOBS_PATH=jobs) as command:
        yield command


@dataclass
class Memory:
    """What the worker process had in memory, bytes, by how many documents had ended."""

    worker: psutil.Process
    seen: list[tuple[int, int]] = field(default_factory=list)

    def look(self, report: BatchReport) -> None:
        self.seen.append((report.ended, int(self.worker.memory_info().rss)))

    def at(self, documents: int) -> int:
        """When so many had just ended."""
        return next(size for ended, size in self.seen if ended >= documents)

    def most(self) -> int:
        return max(size for ended, size in self.seen if ended >= FIRST)


def write_rows(file: Path, seed: int) -> set[int]:
    """The documents as rows of JSON lines: the numbers of those that are poison."""
    poisoned = set(random.Random(seed).sample(range(1, DOCUMENTS + 1), POISONED))  # noqa: S311 - a choice of rows
    with file.open("w") as lines:
        for number in range(1, DOCUMENTS + 1):
            text = f"Section: {seed}-{number}\n{POISON if number in poisoned else 'as it should be'}\n"
            lines.write(json.dumps({"text": text}) + "\n")
    return poisoned


async def history_bytes(engross: Engross, batch_id: str) -> tuple[int, int, int]:
    """Of the batch, what it was continued as, and all its groups: how many, all their bytes, and those of the largest.

    What is moved out has an id of its own below that of the batch, and counts too.
    """
    client = await Client.connect(f"127.0.0.1:{engross.environment['ENGROSS_TEMPORAL_PORT']}")
    sizes = []
    async for each in client.list_workflows(f"WorkflowId STARTS_WITH '{batch_id}'"):
        events = (await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()).events
        sizes.append(sum(len(event.SerializeToString()) for event in events))
    return len(sizes), sum(sizes), max(sizes)


def test_ten_thousand_documents_with_poison_among_them(engross: Engross, record_property: Record) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - chooses the poison
    table = engross.folder / "documents.jsonl"
    poisoned = write_rows(table, seed)
    engross.script({"kind": "empty", "match": POISON, "for_seconds": 3600})
    with Fleet(engross) as fleet:
        [worker] = fleet.ready(f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}")
        memory = Memory(psutil.Process(worker.process.pid))
        submitted = engross("batch", "submit", "single", "--rows", str(table), "--column", "text", "--json")
        assert submitted.returncode == 0, submitted.stderr
        batch_id = json.loads(submitted.stdout)["batch_id"]
        began = time.monotonic()
        report = asked(
            engross,
            lambda client: client.wait_batch(batch_id, every_seconds=LOOK_EVERY_SECONDS, seen=memory.look),
        )
        seconds = time.monotonic() - began
        end = int(memory.worker.memory_info().rss)
    rows = [json.loads(line) for line in engross("batch", "rows", batch_id, "--json").stdout.splitlines()]
    count, size, largest = run(history_bytes(engross, batch_id))
    told = (
        f"{report.done} done, {report.failed} failed in {seconds:.0f} s; worker {memory.at(FIRST) / 2**20:.0f} MiB at"
        f" document {FIRST}, {end / 2**20:.0f} at the end, {memory.most() / 2**20:.0f} at most; {count} histories,"
        f" {size / DOCUMENTS:,.0f} bytes a document, the largest {largest:,}"
    )
    told = tell(record_property, DOCUMENTS, seed, told)
    print(told)  # noqa: T201 - the figures are what it is for
    assert [row["row"] for row in rows] == list(range(1, DOCUMENTS + 1)), told
    assert {row["row"] for row in rows if row["outcome"] == "failed"} == poisoned, told
    assert Counter(row["outcome"] for row in rows) == {"done": DOCUMENTS - POISONED, "failed": POISONED}, told
    assert (report.done, report.failed, report.calls) == (DOCUMENTS - POISONED, POISONED, DOCUMENTS), told
    assert max(end, memory.most()) <= MOST_GROWTH * memory.at(FIRST), told
    assert size / DOCUMENTS <= MOST_HISTORY_BYTES, told
