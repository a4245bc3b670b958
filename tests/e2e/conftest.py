"""The whole thing as a user has it: the embedded stack, a worker process, and the `engross` command."""

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engross.names import PROVIDERS
from engross.settings import PREFIX, Settings, variable
from tests.e2e.pattern_jobs import write_pattern_jobs
from tests.ports import free_ports

PORTS = ("temporal_port", "ui_port", "redis_port", "standin_port", "health_port")
TIMEOUT = 180


@dataclass(frozen=True)
class Engross:
    """Runs the command in an environment of its own."""

    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "starters.cli", *arguments],
            env={**self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def submit(self, *arguments: str, **variables: str) -> list[dict[str, Any]]:
        """Submits, waits, and gives the JSON objects that came out."""
        ended = self("submit", *arguments, "--wait", "--json", **variables)
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def script(self, *faults: dict[str, Any]) -> None:
        """Tells the stand-in what goes wrong with the next calls."""
        self._control("reset", {})
        self._control("faults", {"faults": list(faults)})

    def calls(self) -> list[dict[str, Any]]:
        """The model calls that arrived since the last script."""
        calls: list[dict[str, Any]] = json.loads(self._control("calls"))["calls"]
        return calls

    def _control(self, what: str, body: object = None) -> bytes:
        url = f"http://127.0.0.1:{self.environment['ENGROSS_STANDIN_PORT']}/control/{what}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - ours
            answer: bytes = response.read()
            return answer

    def circuit(self, provider: str) -> str:
        """`closed`, `open` or `half_open`."""
        lines = [json.loads(line) for line in self("circuits", "--json").stdout.splitlines()]
        [state] = [line["state"] for line in lines if line["provider"] == provider]
        return str(state)

    def outcome(self, run_id: str) -> str | None:
        """How the run stands now."""
        outcome: str | None = json.loads(self("status", run_id, "--json").stdout)["outcome"]
        return outcome

    def worker_pid(self) -> int:
        state = json.loads((Path(self.environment["ENGROSS_HOME"]) / "stack.json").read_text())
        [pid] = [process["pid"] for process in state["processes"] if process["name"] == "worker"]
        return int(pid)

    def log(self, name: str = "worker") -> str:
        return (Path(self.environment["ENGROSS_HOME"]) / "logs" / f"{name}.log").read_text()


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Waits for `what` to be true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with free ports."""
    ours = {variable(field) for field in Settings.model_fields} | {f"{name.upper()}_API_KEY" for name in PROVIDERS}
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith(PREFIX)}
    ports = {variable(name): str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    return {**kept, **ports, "ENGROSS_HOME": str(home), **variables}


@contextmanager
def running(folder: Path, **variables: str) -> Iterator[Engross]:
    """A stack with a worker, stopped at the end."""
    command = Engross(clean_environment(folder / "home", **variables), folder)
    started = command("up", "--detach")
    try:
        assert started.returncode == 0, started.stderr
        yield command
    finally:
        stopped = command("down")
        assert stopped.returncode == 0, stopped.stderr


JOB = """from engross import Chain, Job, Step
from .schema import Slip
JOB = Job(description="a job outside the checkout", pattern=Chain(
    Step("first", output=Slip, route="openai:stand-in,anthropic:stand-in"), Step("second", output=Slip)))
"""
SCHEMA = """from pydantic import BaseModel, Field
class Slip(BaseModel):
    total: float = Field(description="Labelled: Total.")
"""


def write_job(root: Path) -> str:
    """A job of two steps outside the checkout, the first with a fallback on the other wire."""
    folder = root / "slip"
    (folder / "prompts").mkdir(parents=True)
    (folder / "job.py").write_text(JOB)
    (folder / "schema.py").write_text(SCHEMA)
    for name in ("first", "second"):
        (folder / "prompts" / f"{name}.md").write_text("Read the slip.")
    return str(root)


def write_capped_job(root: Path) -> None:
    """A job whose runs may spend less than one call can cost, where calls have a price."""
    folder = root / "capped"
    (folder / "prompts").mkdir(parents=True)
    (folder / "job.py").write_text(
        "from decimal import Decimal\nfrom engross import Chain, Job, Step\nfrom .schema import Slip\n"
        'JOB = Job(description="may spend next to nothing", budget_usd=Decimal("0.0005"), pattern=Chain('
        'Step("read", output=Slip)))\n'
    )
    (folder / "schema.py").write_text(SCHEMA)
    (folder / "prompts" / "read.md").write_text("Read the slip.")


@pytest.fixture(scope="session")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """The stack as it comes: the stand-in over OpenAI's wire."""
    jobs = write_pattern_jobs(Path(write_job(tmp_path_factory.mktemp("jobs"))))
    with running(tmp_path_factory.mktemp("engross"), ENGROSS_JOBS_PATH=jobs) as command:
        yield command


@pytest.fixture(scope="session")
def engross_anthropic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """A second stack, whose runs ask over Anthropic's wire, and whose calls have a price."""
    jobs = write_pattern_jobs(tmp_path_factory.mktemp("jobs"))
    write_capped_job(Path(jobs))
    variables = {
        "ENGROSS_MODEL": "anthropic:stand-in",
        "ENGROSS_JOBS_PATH": jobs,
        "ENGROSS_PRICES": "anthropic:stand-in=1/4",
    }
    with running(tmp_path_factory.mktemp("anthropic"), **variables) as command:
        yield command


@pytest.fixture
def seed() -> int:
    """Makes the documents of a test new, so that no reply to an earlier one is kept."""
    number = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {number}")  # noqa: T201 - for whoever repeats it
    return number
