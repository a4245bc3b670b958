"""A worker that is told to stop: what it can finish is finished, what takes longer is handed back."""

import random
import signal
import time

import pytest

from tests.e2e.conftest import Engross
from tests.faults.fleet import (
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

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(300)]

SECONDS = 3


@pytest.mark.parametrize(
    ("drain", "calls", "maybe_billed"), [("60", 1, 0), ("1", 2, 1)], ids=["finished", "handed-back"]
)
def test_a_call_under_way_is_finished_in_time_or_handed_back(
    engross: Engross, drain: str, calls: int, maybe_billed: int
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - tells tenants and totals apart
    tenant = f"drained-{seed}"
    engross.script()
    reply_after(engross, SECONDS if calls == 1 else 120)
    with Fleet(engross) as fleet:
        fleet.ready(WORKFLOWS_AND_DOCUMENTS)
        old = fleet.start(MODELS, ENGROSS_DRAIN_SECONDS=drain)
        until(old.polls, "the worker did not get to polling")
        [(name, total)] = write_receipts(engross.folder / tenant, 1, seed).items()
        submit = engross("submit", "receipt", str(engross.folder / tenant), "--tenant", tenant)
        assert submit.returncode == 0, submit.stderr
        until(lambda: in_flight(engross) == 1, "no call arrived")
        told_at = time.monotonic()
        old.send(signal.SIGTERM)
        assert old.process.wait(60) == 0
        took = time.monotonic() - told_at
        reply_after(engross, 0)
        fleet.ready(MODELS)
        until(lambda: not running(engross, tenant), "the run has not ended")
        done = old.lines(event="step done", activity="ask_model")
    told = f"seed {seed}: stopped within {took:.1f} s, {len(engross.calls())} calls, {rows(engross, tenant)}"
    assert len(engross.calls()) == calls, told
    assert rows(engross, tenant) == [Row(name, "done", None, total, 1, maybe_billed)], told
    assert len(done) == 2 - calls, told  # the one that was told to stop has reported it, or has not
