import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.cpu import Meter, difference
from workers.local.processes import birth
from workers.local.state import ProcessRecord

# Ends one child and keeps another; each uses CPU until its own clock says enough.
_BUSY = "import time\nwhile time.process_time() < 0.5: sum(range(10_000))\n"
_WORKER = f"""
import subprocess, sys
input()
subprocess.run([sys.executable, "-c", {_BUSY!r}], check=True)
child = subprocess.Popen([sys.executable, "-c", {_BUSY!r} + "print('used', flush=True)\\ninput()"])
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", f"{_WORKER}\nchild.wait()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate("\n")  # to its child, which shares the pipe


def test_a_workers_children_count_apart_also_those_that_ended(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    meter = Meter([ProcessRecord(name="worker", pid=worker.pid, create_time=birth(worker.pid), port=1)])
    before = meter.read()
    worker.stdin.write("\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "used\n"
    used = difference(before, meter.read())
    assert used["parsers"] >= 0.9
    assert used["worker"] < 0.3
