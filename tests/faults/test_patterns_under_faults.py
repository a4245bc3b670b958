"""Workers are killed while a long document or a batch is read: no finished call is made again, no row is lost.

FAULTS=long kills every two seconds, and reads a batch of 10,000 documents with poison among them.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
EVERYTHING = f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}"


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """Servers without a worker, and jobs of all patterns."""
    jobs = write_pattern_jobs(tmp_path_factory.mktemp("jobs"))
    with servers(tmp_path_factory.mktemp("servers"), ENGROSS_JOBS_PATH=jobs) as command:
        yield command


@dataclass(frozen=True)
class Killed:
    """How often a worker was killed, the calls that arrived, and the tokens of those whose reply a worker had."""

    times: int
    calls: list[dict[str, Any]]
    replied: Counter[int]

    def again(self, least: int = 0) -> int:
        """How many calls of at least so many tokens were made again; each has a length of its own."""
        arrived = Counter(call["input_tokens"] for call in self.calls if call["input_tokens"] >= least)
        return sum(arrived.values()) - len(arrived)

    def finished_again(self, least: int = 0) -> list[int]:
        """Those of them that were made again after a worker had the reply."""
        return [tokens for tokens, replies in self.replied.items() if tokens >= least and replies > 1]


def killed(engross: Engross, start: Callable[[], object], done: Callable[[], object], most: int) -> Killed:
    """Starts something, and kills its only worker in the middle of it, or one of two every 2 s, until it is done."""
    engross.script()
    reply_after(engross, LATENCY)
    with Fleet(engross) as fleet:
        crew = fleet.ready(*[EVERYTHING] * min(most, 2))
        start()
        if most == 1:
            until(lambda: is_in_the_middle(engross), "no calls in flight")
            crew[0].kill()
            fleet.ready(EVERYTHING)
            until(done, "not done")
            times = 1
        else:
            times = fleet.kill_by_turns(EVERYTHING, crew, every=2, most=most, done=done)
        replies = fleet.lines(event="model call", source="called")
    return Killed(times, engross.calls(), Counter(line["input_tokens"] for line in replies))


def is_in_the_middle(engross: Engross) -> bool:
    """Whether some calls are over, and many are in flight."""
    return in_flight(engross) >= AT_ONCE // 2 and len(engross.calls()) > AT_ONCE


@pytest.mark.fault(4)
@pytest.mark.parametrize("most", [1, pytest.param(1000, marks=pytest.mark.skipif(not LONG, reason="takes minutes"))])
def test_killed_workers_repeat_no_finished_chunk(
    engross: Engross, record_property: Record, seed: int, most: int
) -> None:
    tenant = f"chunks-{seed}"
    document = engross.folder / f"{tenant}.txt"
    document.write_text(sections(seed, CHUNKS))

    def start() -> None:
        submitted = engross("submit", "sections", str(document), "--tenant", tenant)
        assert submitted.returncode == 0, submitted.stderr

    def done() -> bool:
        return bool(rows(engross, tenant)) and not running(engross, tenant)

    ended = killed(engross, start, done, most)
    least = sorted({call["input_tokens"] for call in ended.calls}, reverse=True)[CHUNKS - 1]
    again = ended.again(least)
    [row] = rows(engross, tenant)
    told = (
        f"{ended.times} kills, {len(ended.calls)} calls, {again} of chunks again, {row.maybe_billed} told as maybe"
        f" billed, {row.outcome} {row.error or ''}"
    )
    told = tell(record_property, CHUNKS, seed, told.rstrip())
    assert again >= 1 or most > 1, told  # else there was nothing to be repeated
    assert ended.finished_again(least) == [], told
    assert len(ended.calls) <= CALLS + AT_ONCE * ended.times, told
    assert len(ended.calls) <= row.calls + row.maybe_billed, told
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
    ids = []

    def start() -> None:
        options = ("--tenant", tenant, "--at-once", str(AT_ONCE), "--group", "10", "--json")
        submitted = engross("batch", "submit", "single", str(folder), *options)
        assert submitted.returncode == 0, submitted.stderr
        ids.append(json.loads(submitted.stdout)["batch_id"])

    def done() -> bool:
        return len(rows(engross, tenant)) >= n and not asked(engross, lambda client: client.is_running(ids[0]))

    ended = killed(engross, start, done, most)
    report = json.loads(engross("batch", "status", ids[0], "--json").stdout)
    stored = rows(engross, tenant)
    listed = [json.loads(line) for line in engross("batch", "rows", ids[0], "--json").stdout.splitlines()]
    unclear = [row for row in stored if row.error == "BillingUnclear"]
    told = (
        f"{ended.times} kills, {len(ended.calls)} calls, {ended.again()} again, {len(stored)} rows,"
        f" {len(unclear)} BillingUnclear"
    )
    told = tell(record_property, n, seed, told)
    assert ended.again() >= 1 or most > 1, told  # else there was nothing to be repeated
    assert ended.finished_again() == [], told
    assert [(row["row"], Path(row["document"]).stem) for row in listed] == list(enumerate(names, 1)), told
    assert len(stored) == n == report["total"] == report["done"] + report["failed"], told
    assert {row.outcome for row in stored if row not in unclear} == {"done"}, told
    assert not unclear or most > 1, told
    assert len(ended.calls) <= n + AT_ONCE * ended.times, told
    assert len(ended.calls) <= sum(row.calls + max(row.maybe_billed, 2 * (row in unclear)) for row in stored), told


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - tells tenants and documents apart
