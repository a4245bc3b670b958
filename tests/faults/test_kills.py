"""Processes are killed again and again while many runs go: nothing is lost, and nothing is paid for twice unreported.

FAULTS=long kills for minutes.
"""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Engross
from tests.faults.figures import Record, tell
from tests.faults.fleet import (
    LONG,
    MODELS,
    WORKFLOWS_AND_DOCUMENTS,
    Fleet,
    Row,
    calls_by_name,
    in_flight,
    rows,
    running,
    start_servers,
    until,
    write_receipts,
)

pytestmark = [pytest.mark.xdist_group("kills"), pytest.mark.timeout(1800 if LONG else 400)]


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - tells tenants and totals apart


@dataclass(frozen=True)
class Going:
    """Receipts that are being submitted: their totals by name, and `engross submit` at work."""

    engross: Engross
    tenant: str
    totals: dict[str, float]
    submit: subprocess.Popen[bytes]

    def all_stored(self) -> bool:
        assert self.submit.poll() in (None, 0), "engross submit has failed"
        return self.submit.returncode == 0 and len(rows(self.engross, self.tenant)) >= len(self.totals)

    def all_ended(self) -> list[Row]:
        """The rows, once nothing goes on."""
        until(self.all_stored, "runs were lost")
        until(lambda: not running(self.engross, self.tenant), "runs with a row go on")
        return rows(self.engross, self.tenant)


def submitting(engross: Engross, name: str, n: int, seed: int, *, most_seconds: float) -> Going:
    """`n` receipts. Each call takes up to `most_seconds`, so that kills meet runs in all their stages."""
    numbers = random.Random(seed)  # noqa: S311 - seconds of a wait
    engross.script(*({"kind": "slow", "seconds": numbers.uniform(0, most_seconds)} for _ in range(2 * n)))
    tenant = f"{name}-{seed}"
    folder = engross.folder / tenant
    totals = write_receipts(folder, n, seed)
    command = [sys.executable, "-m", "starters.cli", "submit", "receipt", str(folder), "--tenant", tenant, "--json"]
    with (engross.folder / f"{tenant}.log").open("wb") as log:
        submit = subprocess.Popen(command, env=engross.environment, cwd=engross.folder, stdout=log, stderr=log)
    return Going(engross, tenant, totals, submit)


def ends(stored: list[Row]) -> dict[str, tuple[str, float | None]]:
    return {row.document: (row.outcome, row.total) for row in stored}


def done(totals: dict[str, float]) -> dict[str, tuple[str, float | None]]:
    return {name: ("done", total) for name, total in totals.items()}


@pytest.mark.fault(1)
def test_killed_workers_lose_nothing_and_pay_nothing_twice(
    engross: Engross, record_property: Record, seed: int
) -> None:
    n = 300 if LONG else 20
    with Fleet(engross) as fleet:
        _, *crew = fleet.ready(MODELS, *[WORKFLOWS_AND_DOCUMENTS] * 4)
        going = submitting(engross, "kills", n, seed, most_seconds=120 if LONG else 12)
        kills = fleet.kill_by_turns(
            WORKFLOWS_AND_DOCUMENTS, crew, every=2, most=1000 if LONG else 8, done=going.all_stored
        )
        stored = going.all_ended()
        again = sum(line["attempt"] > 1 for line in fleet.lines(event="step done"))
    calls = calls_by_name(engross, list(going.totals))
    told = f"{kills} kills, {again} steps done again, {calls.total()} calls, {len(stored)} rows"
    told = tell(record_property, n, seed, told)
    assert kills >= 2, told
    assert ends(stored) == done(going.totals), told
    assert [(row.calls, row.maybe_billed) for row in stored] == [(1, 0)] * n, told
    assert set(calls.values()) == {1}, told


@pytest.mark.fault(4)
def test_killed_model_workers_lose_nothing_and_report_what_may_be_billed(
    engross: Engross, record_property: Record, seed: int
) -> None:
    n = 60 if LONG else 10
    at_kills = []

    def some_in_flight() -> bool:
        at_kills.append(in_flight(engross))
        return at_kills[-1] > 0  # a kill follows at once

    with Fleet(engross) as fleet:
        _, *crew = fleet.ready(WORKFLOWS_AND_DOCUMENTS, MODELS, MODELS)
        going = submitting(engross, "models", n, seed, most_seconds=8)
        kills = fleet.kill_by_turns(
            MODELS,
            crew,
            every=4,
            most=1000 if LONG else 3,
            done=going.all_stored,
            when=some_in_flight,
        )
        stored = going.all_ended()
    calls = calls_by_name(engross, list(going.totals))
    broken = sum(call["hung_up"] for call in engross.calls())
    unclear = [row for row in stored if row.error == "BillingUnclear"]
    told = (
        f"{kills} kills, {sum(at_kills)} calls in flight, {broken} broken off, {calls.total() - n} sent again,"
        f" {sum(row.maybe_billed for row in stored)} told as maybe billed, {len(unclear)} runs BillingUnclear"
    )
    told = tell(record_property, n, seed, told)
    # A reply that was on its way at the kill is not seen to break off, and is sent again all the same.
    assert broken or sum(row.maybe_billed for row in stored), told
    assert ends(stored) == done(going.totals) | {row.document: ("failed", None) for row in unclear}, told
    # At most one resend, and none that is not told of.
    assert all(calls[row.document] <= row.calls + row.maybe_billed <= 2 for row in stored), told
    assert all(calls[row.document] <= 2 for row in unclear), told


@pytest.mark.fault(50)
@pytest.mark.skipif(not LONG, reason="tests/activities/guards does it without the runs")
def test_a_killed_redis_loses_nothing(engross: Engross, record_property: Record, seed: int) -> None:
    n = 60 if LONG else 12
    with Fleet(engross) as fleet:
        fleet.ready(f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}")
        going = submitting(engross, "redis", n, seed, most_seconds=8)
        until(lambda: len(engross.calls()) >= n // 3, "no calls arrived")
        at_kill = in_flight(engross)
        os.kill(pid_of(engross, "valkey"), signal.SIGKILL)
        start_servers(engross)
        stored = going.all_ended()
        unkept = len(fleet.lines(event="reply could not be kept"))
    calls = calls_by_name(engross, list(going.totals))
    told = (
        f"{at_kill} calls in flight at the kill, {unkept} replies not kept, {calls.total() - n} calls sent again,"
        f" {sum(row.maybe_billed for row in stored)} told as maybe billed"
    )
    told = tell(record_property, n, seed, told)
    assert ends(stored) == done(going.totals), told
    assert all(calls[row.document] <= 1 + row.maybe_billed for row in stored), told


def pid_of(engross: Engross, name: str) -> int:
    state = json.loads((Path(engross.environment["ENGROSS_HOME"]) / "stack.json").read_text())
    [pid] = [process["pid"] for process in state["processes"] if process["name"] == name]
    return int(pid)
