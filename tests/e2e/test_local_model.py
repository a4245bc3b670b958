"""The samples through the real small model: how much it gets right, and that nothing it writes does any harm."""

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from engross.catalog import load_catalog
from tests.e2e.conftest import Engross, clean_environment
from tests.ports import free_ports

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.xdist_group("local_model"),
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find_spec("llama_cpp") is None, reason="the extra local-model is not installed"),
]

EXPECTED: Final = Path(__file__).parent / "expected"
DEADLINE_SECONDS: Final = 3000
POLL_SECONDS: Final = 2


@pytest.fixture
def engross(tmp_path: Path) -> Iterator[Engross]:
    port = str(free_ports(1)[0])
    command = Engross(clean_environment(tmp_path / "home", ENGROSS_LOCAL_MODEL_PORT=port), tmp_path)
    started = command("up", "--detach", "--local-model")
    try:
        assert started.returncode == 0, started.stderr
        assert "local:gemma3-270m" in started.stdout
        yield command
    finally:
        assert command("down").returncode == 0


def ended_runs(engross: Engross, count: int) -> list[dict[str, Any]]:
    """The runs as `engross list` shows them, once `count` of them have ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        runs = [json.loads(line) for line in engross("list", "--json").stdout.splitlines()]
        if sum(run["outcome"] is not None for run in runs) == count:
            return runs
        assert time.monotonic() < deadline, f"still running: {[run for run in runs if run['outcome'] is None]}"
        time.sleep(POLL_SECONDS)


def replies(engross: Engross) -> dict[str, list[str]]:
    """What became of each reply of the model, in order, by run."""
    database = sqlite3.connect(Path(engross.environment["ENGROSS_HOME"]) / "results.db")
    found: dict[str, list[str]] = {}
    for run_id, status in database.execute("SELECT run_id, status FROM spent ORDER BY run_id, place"):
        found.setdefault(run_id, []).append(status)
    database.close()
    return found


def how_it_ended(report: dict[str, Any]) -> str:
    return f"{report['outcome']} ({report['error']['type']})" if report["error"] else str(report["outcome"])


def line_of(run: dict[str, Any], report: dict[str, Any], statuses: list[str]) -> dict[str, Any]:
    """One line of the table. Only values that a person has read are compared."""
    expected = json.loads((EXPECTED / f"{run['job']}.json").read_text())[run["document"]]
    answer = report["answer"] or {}
    began, ended = (datetime.fromisoformat(run[name]) for name in ("started_at", "ended_at"))
    return {
        "document": f"{run['job']}/{run['document']}",
        "outcome": how_it_ended(report),
        "right": sum(answer.get(name) == value for name, value in expected.items()),
        "of": len(expected),
        "calls": report["calls"],
        "repairs": report["repairs"],
        "replies": ", ".join(statuses),
        "seconds": round((ended - began).total_seconds()),
    }


def table(lines: list[dict[str, Any]]) -> str:
    rows = [list(lines[0]), *([str(value) for value in line.values()] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def test_every_sample_ends_in_a_named_outcome(engross: Engross, capsys: pytest.CaptureFixture[str]) -> None:
    worker = psutil.Process(engross.worker_pid())
    count = 0
    for job in ("invoice", "receipt"):
        samples = [str(sample) for sample in load_catalog().jobs[job].samples()]
        assert engross("submit", job, *samples).returncode == 0
        count += len(samples)

    runs = ended_runs(engross, count)

    statuses = replies(engross)
    lines = []
    for run in sorted(runs, key=lambda run: (run["job"], run["document"])):
        report = json.loads(engross("result", run["run_id"], "--json").stdout)
        lines.append(line_of(run, report, statuses.get(run["run_id"], [])))
    right, of = sum(line["right"] for line in lines), sum(line["of"] for line in lines)
    with capsys.disabled():
        print(f"\n{table(lines)}\n{right} of {of} values right")  # noqa: T201  # the measurement is what it is for
    assert all(run["outcome"] == "done" or run["error"]["type"] for run in runs)
    assert worker.is_running()
    assert engross("up", "--detach").stderr.splitlines()[-1].startswith("it was running already")
