"""Workers are killed while a long document or a batch is read: no finished call is made again, no row is lost.

FAULTS=long kills every two seconds, and reads a batch of 10,000 documents with poison among them.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Engross
from tests.e2e.in_process import asked
from tests.e2e.pattern_jobs import marker, sections, write_pattern_jobs
from tests.faults.figures import Record, tell
from tests.faults.fleet import (
    LONG,
    MODELS,
    WORKFLOWS_AND_DOCUMENTS,
    Fleet,
    in_flight,
    reply_after,
    rows,
    running,
    servers,
    until,
)

pytestmark = [pytest.mark.xdist_group("pattern_kills"), pytest.mark.timeout(900 if LONG else 300)]

CHUNKS = 64
CALLS = CHUNKS + 8 + 1
AT_ONCE = 16
LATENCY = 0.3
# A reply counts as arrived when it was sent that long before: a busy worker may not have come to it any sooner.
ARRIVAL = 1.0
EVERYTHING = f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}"


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """Servers without a worker, and jobs of all patterns."""
    jobs = write_pattern_jobs(tmp_path_factory.mktemp("jobs"))
    with servers(tmp_path_factory.mktemp("servers"), ENGROSS_JOBS_PATH=jobs) as command:
        yield command


@dataclass
class Kills:
    """When workers were killed, in seconds since the epoch."""

    engross: Engross
    times: list[float] = field(default_factory=list)

    def in_the_middle(self) -> bool:
        """Whether some calls are over, and many are in flight; a kill follows at once."""
        return in_flight(self.engross) >= AT_ONCE // 2 and len(self.engross.calls()) > AT_ONCE and self.now()

    def now(self) -> bool:
        """A kill follows at once."""
        self.times.append(time.time())
        return True

    def repeated(self, calls: list[dict[str, Any]]) -> int:
        """How often a call was made again, where each has a length of its own. None had its reply before a kill."""
        again = 0
        by_length = defaultdict(list)
        for call in calls:
            by_length[call["input_tokens"]].append(call["at"])
        for times in by_length.values():
            for at in times[:-1]:
                again += 1
                # Frozen for half a second before it dies, a worker gets no more replies.
                assert any(at - 1 <= kill <= at + LATENCY + ARRIVAL for kill in self.times), (at, self.times)
        return again


def killed(engross: Engross, kills: Kills, start: Callable[[], object], done: Callable[[], object], most: int) -> None:
    """Starts something, and kills its only worker in the middle of it, or one of two every 2 s, until it is done."""
    engross.script()
    reply_after(engross, LATENCY)
    with Fleet(engross) as fleet:
        crew = fleet.ready(*[EVERYTHING] * min(most, 2))
        start()
        if most == 1:
            until(kills.in_the_middle, "no calls in flight")
            crew[0].kill()
            fleet.ready(EVERYTHING)
            until(done, "not done")
        else:
            fleet.kill_by_turns(EVERYTHING, crew, every=2, most=most, done=done, when=kills.now)


@pytest.mark.fault(4)
@pytest.mark.parametrize("most", [1, pytest.param(1000, marks=pytest.mark.skipif(not LONG, reason="takes minutes"))])
def test_killed_workers_repeat_no_finished_chunk(
    engross: Engross, record_property: Record, seed: int, most: int
) -> None:
    tenant = f"chunks-{seed}"
    document = engross.folder / f"{tenant}.txt"
    document.write_text(sections(seed, CHUNKS))
    kills = Kills(engross)

    def start() -> None:
        submitted = engross("submit", "sections", str(document), "--tenant", tenant)
        assert submitted.returncode == 0, submitted.stderr

    def done() -> bool:
        return bool(rows(engross, tenant)) and not running(engross, tenant)

    killed(engross, kills, start, done, most)
    times = len(kills.times)
    calls = engross.calls()
    least = sorted({call["input_tokens"] for call in calls}, reverse=True)[CHUNKS - 1]
    again = kills.repeated([call for call in calls if call["input_tokens"] >= least])
    [row] = rows(engross, tenant)
    told = f"{times} kills, {len(calls)} calls, {again} of chunks again, {row.maybe_billed} told as maybe billed"
    told = tell(record_property, CHUNKS, seed, f"{told}, {row.outcome} {row.error or ''}")
    assert again >= 1 or most > 1, told  # else there was nothing to be repeated
    assert len(calls) <= CALLS + AT_ONCE * times, told
    assert len(calls) <= row.calls + row.maybe_billed, told
    assert row.outcome == "done" or (most > 1 and row.error == "BillingUnclear"), told
    if row.outcome == "done":
        listed = engross("ledger", submitted_id(engross, tenant), "--json").stdout.splitlines()
        assert [json.loads(line)["state"] for line in listed] == ["mapped"] * CHUNKS, told


def submitted_id(engross: Engross, tenant: str) -> str:
    """The id of the one run of a tenant."""
    [line] = engross("list", "--tenant", tenant, "--json").stdout.splitlines()
    return str(json.loads(line)["run_id"])


@pytest.mark.fault(4)
@pytest.mark.parametrize("most", [1, pytest.param(1000, marks=pytest.mark.skipif(not LONG, reason="takes minutes"))])
def test_killed_workers_lose_no_row_of_a_batch(engross: Engross, record_property: Record, seed: int, most: int) -> None:
    n = 400 if most > 1 else 60
    tenant = f"batch-{seed}"
    folder = engross.folder / tenant
    folder.mkdir()
    names = [marker(seed, number) for number in range(n)]
    for number, name in enumerate(names):
        (folder / f"{name}.txt").write_text(f"Section: {name}\n{'and more ' * number}\n")
    kills = Kills(engross)
    ids = []

    def start() -> None:
        options = ("--tenant", tenant, "--at-once", str(AT_ONCE), "--group", "10", "--json")
        submitted = engross("batch", "submit", "single", str(folder), *options)
        assert submitted.returncode == 0, submitted.stderr
        ids.append(json.loads(submitted.stdout)["batch_id"])

    def done() -> bool:
        return len(rows(engross, tenant)) >= n and not asked(engross, lambda client: client.is_running(ids[0]))

    killed(engross, kills, start, done, most)
    times = len(kills.times)
    report = json.loads(engross("batch", "status", ids[0], "--json").stdout)
    calls, stored = engross.calls(), rows(engross, tenant)
    again = kills.repeated(calls)
    listed = [json.loads(line) for line in engross("batch", "rows", ids[0], "--json").stdout.splitlines()]
    unclear = [row for row in stored if row.error == "BillingUnclear"]
    told = f"{times} kills, {len(calls)} calls, {again} again, {len(stored)} rows, {len(unclear)} BillingUnclear"
    told = tell(record_property, n, seed, told)
    assert again >= 1 or most > 1, told  # else there was nothing to be repeated
    assert [(row["row"], Path(row["document"]).stem) for row in listed] == list(enumerate(names, 1)), told
    assert len(stored) == n == report["total"] == report["done"] + report["failed"], told
    assert {row.outcome for row in stored if row not in unclear} == {"done"}, told
    assert not unclear or most > 1, told
    assert len(calls) <= n + AT_ONCE * times, told
    assert len(calls) <= sum(row.calls + max(row.maybe_billed, 2 * (row in unclear)) for row in stored), told


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - tells tenants and documents apart
