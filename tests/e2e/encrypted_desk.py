"""A stack whose documents are full of canary words, the console beside it, and where to search for the words."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.canary import Canary, Found
from tests.e2e.conftest import Engross, running, until
from tests.ports import free_ports

USES: Final = ("document", "file", "answer", "reason", "correction", "batch", "invalid", "error")
"""What a canary has words for."""

MOST_SECONDS: Final = 120
_JOBS: Final = {
    "slips": "approval=Approval(rules=(Rule(name='large', when=Above(field='total', limit=Decimal(100)),"
    " risk=Risk.MEDIUM),)),",
    "plain": "",
}
_JOB: Final = """from decimal import Decimal
from engross import Above, Approval, Chain, Job, Risk, Rule, Step
from .schema import Slip
JOB = Job(description="a slip", {more} pattern=Chain(Step("read", output=Slip)))
"""
# The name of the document stands for whatever an error may say of it.
_BROKEN_JOB: Final = """from engross import Custom, Job, Step
from .schema import Slip
JOB = Job(description="fails", pattern=Custom("broken", steps=(Step("read", output=Slip),)))
"""
_BROKEN: Final = """from temporalio import workflow
from temporalio.exceptions import ApplicationError
with workflow.unsafe.imports_passed_through():
    from engross.contracts import RunRequest
    from workflows.pattern import Pattern
@workflow.defn(name="broken", failure_exception_types=[ValueError])
class Broken(Pattern):
    @workflow.run
    async def run(self, request: RunRequest | None = None) -> None:
        try:
            raise ValueError(f"no {request.document.name}")
        except ValueError as error:
            raise ApplicationError(f"{request.document.name} is bad", request.document.name, type="Broken") from error
"""
# Its errors say what stands in the document, as those of users' schemas may.
_SCHEMA: Final = """from pydantic import BaseModel, Field, field_validator
class Slip(BaseModel):
    name: str = Field(description="Labelled: Name.")
    total: float = Field(description="Labelled: Total.")
    @field_validator("name")
    @classmethod
    def check(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"{value} is no name")
        return value
"""


class Console:
    """A process of `engross console`."""

    def __init__(self, port: int, log: Path) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, engross: Engross) -> None:
        """Starts it, or another in its place, and waits until it listens."""
        self.stop()
        command = [sys.executable, "-m", "starters.cli", "console"]
        with self.log.open("ab") as output:
            begins = output.tell()
            process = self._process = subprocess.Popen(
                command, env=dict(engross.environment), cwd=engross.folder, stdout=output, stderr=output
            )
        until(lambda: b"Console" in self.log.read_bytes()[begins:] or process.poll() is not None)
        assert process.poll() is None, self.log.read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


@dataclass
class Desk:
    """The stack, the key of ann, who may do everything, and the console."""

    engross: Engross
    key: str
    console: Console

    @property
    def home(self) -> Path:
        return Path(self.engross.environment["ENGROSS_HOME"])

    @property
    def redis(self) -> str:
        return f"redis://127.0.0.1:{self.engross.environment['ENGROSS_REDIS_PORT']}/0"

    def api(self, path: str, body: object = None) -> dict[str, Any]:
        """What the REST API answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.console.address}/api/v1{path}", data=data, headers=headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - ours
                answer: dict[str, Any] = json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None
        return answer

    def metrics(self) -> bytes:
        url = f"http://127.0.0.1:{self.engross.environment['ENGROSS_HEALTH_PORT']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as response:
            page: bytes = response.read()
        return page

    def restart(self, **variables: str) -> None:
        """The worker and the console, with these variables changed."""
        self.engross = replace(self.engross, environment={**self.engross.environment, **variables})
        pid = self.engross.worker_pid()
        os.kill(pid, signal.SIGTERM)
        until(lambda: not is_running(pid))
        started = self.engross("up", "--detach")
        assert started.returncode == 0, started.stderr
        self.console.start(self.engross)

    # --- work -------------------------------------------------------------------------------------------------------

    def submit(self, job: str, document: Path, tenant: str) -> str:
        submitted = self.engross("submit", job, str(document), "--tenant", tenant, "--json")
        assert submitted.returncode == 0, submitted.stderr
        return str(json.loads(submitted.stdout)["run_id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        """The report on a run that has ended."""
        until(lambda: self.engross.outcome(run_id) not in (None, "parked", "needs_approval"), MOST_SECONDS)
        report: dict[str, Any] = json.loads(self.engross("result", run_id, "--json").stdout)
        return report

    def waiting(self, run_id: str) -> dict[str, Any]:
        """The approval of that run, once people are asked."""

        def found() -> list[dict[str, Any]]:
            listed: list[dict[str, Any]] = self.api(f"/approvals?search={run_id}")["approvals"]
            return listed

        until(found, MOST_SECONDS)
        return self.api(f"/approvals/{found()[0]['approval_id']}")

    def correct(self, run_id: str, value: Mapping[str, Any], reason: str) -> dict[str, Any]:
        """Corrects and approves what is shown, by the API, and gives the report on the run's end."""
        approval = self.waiting(run_id)
        act = {"kind": "correct", "shown": approval["shown"], "value": value, "reason": reason}
        self.api(f"/approvals/{approval['approval_id']}/decisions", act)
        return self.ended(run_id)

    # --- searching --------------------------------------------------------------------------------------------------

    def search(self, canary: Canary) -> dict[str, Found]:
        """What is found of the canary, by place. The result store is left out: its database encrypts it, or not."""
        places = {
            "temporal": sorted(self.home.glob("temporal.db*")),
            "blobs": _files(self.home / "blobs"),
            "redis file": _files(self.home / "valkey"),
            "logs": [*_files(self.home / "logs"), self.console.log],
        }
        assert all(places.values()), places
        known = {file for files in places.values() for file in files}
        rest = [file for file in _files(self.home) if file not in known and not file.name.startswith("results.db")]
        found = {place: canary.search_files(files) for place, files in places.items()}
        found["other files"] = canary.search_files(rest)
        found["redis"] = canary.search_redis(self.redis)
        found["metrics"] = canary.search(self.metrics())
        return found


@contextmanager
def open_desk(folder: Path, **variables: str) -> Iterator[Desk]:
    """A stack with the jobs `slips` (people look at large ones), `plain` and `broken` (fails), and its console."""
    _write_jobs(folder / "jobs")
    [port] = free_ports(1)
    variables |= {"ENGROSS_CONSOLE_PORT": str(port), "ENGROSS_USER_REQUESTS_PER_MINUTE": "100000"}
    with running(folder, ENGROSS_JOBS_PATH=str(folder / "jobs"), **variables) as engross:
        for command in (("users", "add", "ann", "--no-password"), *_grants("ann")):
            told = engross(*command)
            assert told.returncode == 0, told.stderr
        key = engross("users", "key", "ann", "--label", "tests").stdout.strip()
        console = Console(port, folder / "console.log")
        try:
            console.start(engross)
            yield Desk(engross, key, console)
        finally:
            console.stop()


def _grants(name: str) -> list[tuple[str, ...]]:
    return [("users", "grant", name, role, "--tenant", "*") for role in ("approver", "operator")]


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be forgotten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _write_jobs(root: Path) -> None:
    jobs = {name: _JOB.format(more=more) for name, more in _JOBS.items()} | {"broken": _BROKEN_JOB}
    for name, job in jobs.items():
        (root / name / "prompts").mkdir(parents=True)
        (root / name / "job.py").write_text(job)
        (root / name / "schema.py").write_text(_SCHEMA)
        (root / name / "prompts" / "read.md").write_text("Read the slip.")
    (root / "broken" / "workflow.py").write_text(_BROKEN)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
