"""Single processes die, pause and are told to stop at the worst moment: one row, one answer, every call counted."""

import random
import signal
import time

import pytest

from tests.e2e.conftest import Engross
from tests.faults import dying_model_worker, dying_store_worker
from tests.faults.figures import Record, tell
from tests.faults.fleet import (
    DOCUMENTS,
    LONG,
    MODELS,
    WORKFLOWS_AND_DOCUMENTS,
    Fleet,
    Row,
    in_flight,
    reply_after,
    rows,
    running,
    until,
    write_receipts,
)

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(400)]

ROUNDS = 5 if LONG else 1
WORKFLOWS = "workflows"
LATE = {"company": "LATE", "date": "2018-12-25", "address": None, "total": 0.01}


@pytest.fixture(params=range(ROUNDS))
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - tells tenants and totals apart


def submitted(engross: Engross, tenant: str, n: int, seed: int) -> dict[str, float]:
    """`n` receipts on their way: totals by name."""
    totals = write_receipts(engross.folder / tenant, n, seed)
    submit = engross("submit", "receipt", str(engross.folder / tenant), "--tenant", tenant)
    assert submit.returncode == 0, submit.stderr
    return totals


def all_ended(engross: Engross, tenant: str) -> None:
    until(lambda: not running(engross, tenant), "runs have not ended")


@pytest.mark.fault(2)
def test_a_worker_that_dies_after_the_reply_finds_it_kept(engross: Engross, record_property: Record, seed: int) -> None:
    tenant = f"kept-{seed}"
    engross.script()
    with Fleet(engross) as fleet:
        dying = fleet.start(MODELS, command=("-P", dying_model_worker.__file__, "worker"))
        fleet.ready(WORKFLOWS_AND_DOCUMENTS)
        [(name, total)] = submitted(engross, tenant, 1, seed).items()
        until(lambda: dying.process.poll() is not None, "the worker did not die")
        assert running(engross, tenant)  # nobody has heard of the reply
        fleet.ready(MODELS)
        all_ended(engross, tenant)
        sources = [line["source"] for line in fleet.lines(event="model call")]
    after = rows(engross, tenant)
    told = tell(record_property, 1, seed, f"{len(engross.calls())} call, its reply was {sources}")
    assert dying.process.returncode == 1, told
    assert after == [Row(name, "done", None, total, 1, 0)], told
    assert (sources, len(engross.calls())) == (["recovered"], 1), told


@pytest.mark.fault(3)
def test_a_worker_that_dies_after_storing_leaves_one_row(engross: Engross, record_property: Record, seed: int) -> None:
    tenant = f"stored-{seed}"
    engross.script()
    with Fleet(engross) as fleet:
        dying = fleet.start(WORKFLOWS, command=("-P", dying_store_worker.__file__, "worker"))
        fleet.ready(DOCUMENTS, MODELS)
        [(name, total)] = submitted(engross, tenant, 1, seed).items()
        until(lambda: dying.process.poll() is not None, "the worker did not die")
        before = rows(engross, tenant)
        assert running(engross, tenant)  # nobody has heard of the row
        fleet.ready(WORKFLOWS)
        all_ended(engross, tenant)
        again = [line["attempt"] for line in fleet.lines(event="step done", activity="store_answer")]
    after = rows(engross, tenant)
    told = f"{len(after)} row, {len(engross.calls())} call, stored again {len(again)} time"
    told = tell(record_property, 1, seed, told)
    assert dying.process.returncode == 1, told
    assert before == after == [Row(name, "done", None, total, 1, 0)], told
    assert again == [1], told  # a local activity: the next worker starts it anew
    assert len(engross.calls()) == 1, told


@pytest.mark.fault(5)
def test_a_worker_that_was_paused_comes_too_late(engross: Engross, record_property: Record, seed: int) -> None:
    tenant = f"paused-{seed}"
    engross.script({"kind": "invalid", "arguments": LATE})
    reply_after(engross, 10)
    with Fleet(engross) as fleet:
        paused, _ = fleet.ready(MODELS, WORKFLOWS_AND_DOCUMENTS)
        [(name, total)] = submitted(engross, tenant, 1, seed).items()
        until(engross.calls, "no call arrived")
        # Told to end, it takes nothing new: what the server hands to a frozen worker waits for its time-out as well.
        paused.send(signal.SIGTERM)
        until(lambda: paused.lines(event="worker is draining"), "the worker does not drain")
        time.sleep(1)  # its polls end unseen; if they have not yet, this takes a minute longer and ends the same
        paused.send(signal.SIGSTOP)
        assert in_flight(engross) == 1
        reply_after(engross, 0)  # those of its successor
        stopped = time.monotonic()
        fleet.ready(MODELS)
        all_ended(engross, tenant)
        seconds = time.monotonic() - stopped
        paused.send(signal.SIGCONT)
        assert paused.process.wait(60) == 0  # whatever it still had to say has been said
        again = engross.submit("receipt", str(engross.folder / tenant), "--tenant", tenant, "--again")
        late = "gave way to the kept one" if paused.lines(event="model call") else "was cancelled"
    told = f"paused for {seconds:.0f} s, {len(engross.calls())} calls, the late one {late}"
    told = tell(record_property, 1, seed, told)
    found = rows(engross, tenant)
    assert Row(name, "done", None, total, 1, 1) in found, told
    assert [(report["answer"]["total"], report["calls"]) for report in again] == [(total, 0)], told  # what is kept
    assert len(engross.calls()) == 2, told
    assert len(found) == 2, told


@pytest.mark.fault(6)
def test_a_deploy_drains_the_calls_that_are_under_way(engross: Engross, record_property: Record, seed: int) -> None:
    n = 8
    tenant = f"deploy-{seed}"
    engross.script()
    reply_after(engross, 3)
    with Fleet(engross) as fleet:
        old = fleet.ready(MODELS, WORKFLOWS_AND_DOCUMENTS)
        totals = submitted(engross, tenant, n, seed)
        until(lambda: len(engross.calls()) == n, "calls did not arrive")
        for worker in old:
            worker.send(signal.SIGTERM)
        waiting = in_flight(engross)
        codes = [worker.stop() for worker in old]
        early = len(rows(engross, tenant))
        fleet.ready(MODELS, WORKFLOWS_AND_DOCUMENTS)
        all_ended(engross, tenant)
    arrived = len(engross.calls())
    told = f"{waiting} calls in flight, {early} rows before the new workers came, {arrived} calls"
    told = tell(record_property, n, seed, told)
    assert waiting > 0, told
    assert codes == [0, 0], told
    assert sorted(rows(engross, tenant), key=lambda row: row.document) == [
        Row(name, "done", None, total, 1, 0) for name, total in totals.items()
    ], told
    assert arrived == n, told
