"""A worker that polls has loaded what its activities use: killed soon after its start, it has still done some work."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Engross, clean_environment, until

WATCHED = (sys.executable, str(Path(__file__).with_name("watched_worker.py")))
QUEUES = ["workflows", "documents", "models-openai", "models-anthropic"]

JOB = """from engross import Chain, Job, Step
from pydantic import BaseModel
class Slip(BaseModel):
    total: float
JOB = Job(description="asks both providers", pattern=Chain(
    Step("first", output=Slip, route="openai:stand-in"), Step("second", output=Slip, route="anthropic:stand-in")))
"""


@pytest.fixture
def engross(tmp_path: Path) -> Iterator[Engross]:
    """The servers of the stack, and a job that asks both providers."""
    folder = tmp_path / "jobs" / "both"
    (folder / "prompts").mkdir(parents=True)
    (folder / "job.py").write_text(JOB)
    for name in ("first", "second"):
        (folder / "prompts" / f"{name}.md").write_text("Read the slip.")
    environment = clean_environment(tmp_path / "home", ENGROSS_JOBS_PATH=str(folder.parent))
    command = Engross(environment, tmp_path)
    started = command("up", "--detach", "--no-worker")
    try:
        assert started.returncode == 0, started.stderr
        yield command
    finally:
        assert command("down").returncode == 0


class Watched:
    """A worker process; its log goes to a file."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def polls(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return bool(self.lines("worker is polling"))

    def modules(self) -> set[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return set(json.loads(self._process.stdout.readline()))


@contextmanager
def watched(engross: Engross) -> Iterator[Watched]:
    log = engross.folder / "watched.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            WATCHED, env=engross.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        ) as process,
    ):
        try:
            yield Watched(process, log)
        finally:
            process.kill()


def is_ready(engross: Engross) -> bool:
    url = f"http://127.0.0.1:{engross.environment['ENGROSS_HEALTH_PORT']}/ready"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.mark.xdist_group("first work")
def test_first_activities_load_nothing(engross: Engross) -> None:
    document = engross.folder / "slip.txt"
    document.write_text("Total: 12.50")
    with watched(engross) as worker:
        until(worker.polls)
        assert is_ready(engross)
        before = worker.modules()
        assert {"openai", "anthropic"} <= before
        engross.script({"kind": "malformed", "text": '{"total": "12.50'})
        [report] = engross.submit("both", str(document))
        assert report["outcome"] == "done", report
        done = {line["activity"] for line in worker.lines("step done")}
        assert done > {"ask_model", "repair_answer", "store_answer"}, "the document was prepared, too"
        assert len(engross.calls()) >= 2
        loaded = {name for name in worker.modules() - before if name.split(".")[0] not in sys.stdlib_module_names}
    assert not loaded, " ".join(sorted(loaded))


@pytest.mark.xdist_group("first work")
def test_each_queue_is_polled_as_soon_as_it_can_be_and_told(engross: Engross) -> None:
    with watched(engross) as worker:
        until(worker.polls)
        assert [line["queue"] for line in worker.lines("queue is polled")] == QUEUES
