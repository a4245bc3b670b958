"""Processes die, replies are broken: runs end all the same, and every call is accounted for. Over Anthropic's wire."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest

from engross.catalog import load_catalog
from tests.e2e.conftest import Engross

pytestmark = [pytest.mark.xdist_group("anthropic")]

JOBS = load_catalog().jobs
INVOICE = str(JOBS["invoice"].samples()[0])
RECEIPT = str(JOBS["receipt"].samples()[0])


def until(what: Callable[[], object], seconds: float = 30) -> None:
    """Waits for `what` to be true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_the_samples_come_out_over_this_wire_too(engross_anthropic: Engross) -> None:
    engross_anthropic.script()
    [report] = engross_anthropic.submit("invoice", INVOICE, "--no-cache")
    assert report["outcome"] == "done", report
    assert {call["path"] for call in engross_anthropic.calls()} == {"/v1/messages"}


@pytest.mark.fault(4)
def test_a_worker_killed_in_mid_call_loses_nothing(engross_anthropic: Engross) -> None:
    engross = engross_anthropic
    engross.script({"kind": "slow", "seconds": 30})
    submitted = engross("submit", "receipt", RECEIPT, "--no-cache", "--json")
    run_id = json.loads(submitted.stdout)["run_id"]
    until(engross.calls)
    os.kill(engross.worker_pid(), signal.SIGKILL)
    assert engross("up", "--detach").returncode == 0
    until(lambda: '"outcome": "done"' in engross("result", run_id, "--json").stdout, seconds=60)
    assert len(engross.calls()) == 2  # the one in flight at the kill, and its one successor


@pytest.mark.fault(14)
def test_a_call_may_outlast_the_heartbeat_time_limit(
    engross_anthropic: Engross, record_property: Callable[[str, object], None]
) -> None:
    seconds = 120 if os.environ.get("FAULTS") == "long" else 12  # the limit is 10
    engross_anthropic.script({"kind": "slow", "seconds": seconds})
    [report] = engross_anthropic.submit("receipt", RECEIPT, "--no-cache")
    record_property("figures", f"{len(engross_anthropic.calls())} call of {seconds} s")
    assert (report["outcome"], report["calls"], len(engross_anthropic.calls())) == ("done", 1, 1)


def test_cancelling_a_run_ends_its_call(engross_anthropic: Engross) -> None:
    engross = engross_anthropic
    engross.script({"kind": "slow", "seconds": 60})
    run_id = json.loads(engross("submit", "receipt", RECEIPT, "--no-cache", "--json").stdout)["run_id"]
    until(engross.calls)
    assert engross("cancel", run_id).returncode == 0
    until(lambda: engross.calls()[0]["hung_up"])
    until(lambda: '"outcome": "cancelled"' in engross("result", run_id, "--json").stdout)


def test_logs_hold_no_document_text(engross_anthropic: Engross) -> None:
    engross = engross_anthropic
    document = engross.folder / "canary.txt"
    document.write_text("CANARY-7f3a\nTotal: 5.00\nDate: 2020-01-01\nshop: CANARYSHOP\n")
    engross.script({"kind": "invalid", "arguments": {"total": "CANARYREPLY"}})
    engross.submit("receipt", str(document))
    assert engross.calls()
    for name in ("worker", "stand-in", "temporal", "valkey"):
        assert "CANARY" not in engross.log(name), name
    line = next(line for line in engross.log().splitlines() if '"model call"' in line)
    for field in ("run_id", "step", "model", "input_tokens", "cost_usd", "latency_ms", "finish_reason", "prompt_hash"):
        assert f'"{field}"' in line


def test_a_worker_waits_for_its_server_says_so_and_ends_when_told(engross_anthropic: Engross) -> None:
    environment = {**engross_anthropic.environment, "TEMPORAL_ADDRESS": "127.0.0.1:1", "ENGROSS_HEALTH_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "starters.cli", "worker"], env=environment, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr is not None
        lines = iter(worker.stderr.readline, "")
        assert any("waiting for Temporal" in line for line in lines)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0


def test_a_worker_of_one_queue_loads_no_provider_library(engross_anthropic: Engross) -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, workers.main; print({'openai', 'anthropic', 'instructor'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert loaded.stdout.strip() == "set()"


def test_the_health_page_counts_what_was_paid_for(engross_anthropic: Engross) -> None:
    port = engross_anthropic.environment["ENGROSS_HEALTH_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    assert re.search(
        r'^engross_model_calls_total{job="\w+",model="stand-in",provider="anthropic",status="valid",', text, re.M
    )
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as response:
        assert json.loads(response.read())["ready"]
