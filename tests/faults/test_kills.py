"""Processes are killed again and again while many runs go: nothing is lost, and nothing is paid for twice unreported.

ENGROSS_FAULTS=long kills for minutes.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Engross
from tests.faults.fleet import (
    LONG,
    MODELS,
    WORKFLOWS_AND_DOCUMENTS,
    Fleet,
    calls_by_name,
    rows,
    running,
    servers,
    start_servers,
    until,
    write_receipts,
)

pytestmark = [pytest.mark.xdist_group("kills"), pytest.mark.timeout(1800 if LONG else 400)]

SECONDS = 1500 if LONG else 300
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    with servers(tmp_path_factory.mktemp("kills")) as command:
        yield command


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - tells tenants and totals apart


def tell(record_property: Record, n: int, seed: int, figures: str) -> str:
    record_property("n", n)
    record_property("seed", seed)
    record_property("figures", figures)
    return f"n {n}, seed {seed}: {figures}"


def submitting(engross: Engross, folder: Path, tenant: str) -> subprocess.Popen[bytes]:
    """`engross submit` on its way."""
    command = [sys.executable, "-m", "starters.cli", "submit", "receipt", str(folder), "--tenant", tenant, "--json"]
    with (engross.folder / f"{tenant}.log").open("wb") as log:
        return subprocess.Popen(command, env=engross.environment, cwd=engross.folder, stdout=log, stderr=log)


def replies_that_take(engross: Engross, n: int, seed: int, most: float) -> None:
    """The next `n` calls take up to `most` seconds each, so that kills meet runs in all their stages."""
    numbers = random.Random(seed)  # noqa: S311 - seconds of a wait
    engross.script(*({"kind": "slow", "seconds": numbers.uniform(0, most)} for _ in range(n)))


@pytest.mark.fault(1)
def test_killed_workers_lose_nothing_and_pay_nothing_twice(
    engross: Engross, record_property: Record, seed: int
) -> None:
    n = 300 if LONG else 20
    tenant = f"kills-{seed}"
    totals = write_receipts(engross.folder / tenant, n, seed)
    replies_that_take(engross, n, seed, most=60 if LONG else 8)
    with Fleet(engross) as fleet:
        fleet.ready(MODELS)
        submit = submitting(engross, engross.folder / tenant, tenant)
        kills = fleet.kill_by_turns(
            WORKFLOWS_AND_DOCUMENTS,
            replicas=4,
            every=2,
            done=lambda: submit.poll() is not None and len(rows(engross, tenant)) >= n,
            seconds=SECONDS,
        )
        assert submit.returncode == 0
        until(lambda: not running(engross, tenant), "runs with a row go on")
        again = sum(line["attempt"] > 1 for line in fleet.lines(event="step done"))
    stored, calls = rows(engross, tenant), calls_by_name(engross, list(totals))
    told = f"{kills} kills, {again} steps done again, {calls.total()} calls, {len(stored)} rows"
    told = tell(record_property, n, seed, told)
    assert kills >= 2, told
    assert {row.document: (row.outcome, row.total) for row in stored} == {
        name: ("done", total) for name, total in totals.items()
    }, told
    assert [(row.calls, row.maybe_billed) for row in stored] == [(1, 0)] * n, told
    assert set(calls.values()) == {1}, told


@pytest.mark.fault(4)
def test_killed_model_workers_lose_nothing_and_report_what_may_be_billed(
    engross: Engross, record_property: Record, seed: int
) -> None:
    n = 60 if LONG else 10
    tenant = f"models-{seed}"
    totals = write_receipts(engross.folder / tenant, n, seed)
    replies_that_take(engross, 2 * n, seed, most=8)
    with Fleet(engross) as fleet:
        fleet.ready(WORKFLOWS_AND_DOCUMENTS)
        submit = submitting(engross, engross.folder / tenant, tenant)
        kills = fleet.kill_by_turns(
            MODELS,
            replicas=2,
            every=4,
            done=lambda: submit.poll() is not None and len(rows(engross, tenant)) >= n,
            seconds=SECONDS,
        )
        assert submit.returncode == 0
        until(lambda: not running(engross, tenant), "runs with a row go on")
    stored, calls = rows(engross, tenant), calls_by_name(engross, list(totals))
    broken = sum(call["hung_up"] for call in engross.calls())
    unclear = [row for row in stored if row.error == "BillingUnclear"]
    reported = sum(row.maybe_billed for row in stored)
    duplicates = calls.total() - n
    told = (
        f"{kills} kills, {broken} calls broken off, {duplicates} calls sent again, {reported} reported as maybe billed,"
        f" {len(unclear)} runs ended as BillingUnclear"
    )
    told = tell(record_property, n, seed, told)
    assert kills >= 1, told
    assert broken >= 1, told
    assert {row.document for row in stored} == set(totals), told
    for row in stored:
        if row in unclear:
            assert (row.outcome, calls[row.document]) == ("failed", 2), told
        else:
            assert (row.outcome, row.total) == ("done", totals[row.document]), told
            assert calls[row.document] <= 1 + row.maybe_billed, told
            assert row.maybe_billed <= 1, told


@pytest.mark.fault(50)
def test_a_killed_redis_loses_nothing(engross: Engross, record_property: Record, seed: int) -> None:
    n = 60 if LONG else 12
    tenant = f"redis-{seed}"
    totals = write_receipts(engross.folder / tenant, n, seed)
    replies_that_take(engross, n, seed, most=8)
    with Fleet(engross) as fleet:
        fleet.ready(f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}")
        submit = submitting(engross, engross.folder / tenant, tenant)
        until(lambda: len(engross.calls()) >= n // 3, "no calls arrived")
        in_flight = sum(call["status"] is None for call in engross.calls())
        os.kill(pid_of(engross, "valkey"), signal.SIGKILL)
        start_servers(engross)
        until(lambda: submit.poll() is not None and len(rows(engross, tenant)) >= n, "runs were lost", SECONDS)
        assert submit.returncode == 0
        until(lambda: not running(engross, tenant), "runs with a row go on")
        unkept = len(fleet.lines(event="reply could not be kept"))
    stored, calls = rows(engross, tenant), calls_by_name(engross, list(totals))
    reported = sum(row.maybe_billed for row in stored)
    told = (
        f"{in_flight} calls in flight at the kill, {unkept} replies not kept, {calls.total() - n} calls sent again,"
        f" {reported} reported as maybe billed"
    )
    told = tell(record_property, n, seed, told)
    assert {row.document: (row.outcome, row.total) for row in stored} == {
        name: ("done", total) for name, total in totals.items()
    }, told
    assert all(calls[row.document] <= 1 + row.maybe_billed for row in stored), told


def pid_of(engross: Engross, name: str) -> int:
    state = json.loads((Path(engross.environment["ENGROSS_HOME"]) / "stack.json").read_text())
    [pid] = [process["pid"] for process in state["processes"] if process["name"] == name]
    return int(pid)
