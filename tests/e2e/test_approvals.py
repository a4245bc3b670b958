"""People decide by the command, as users have it: from the submission to the stored copy, and while a worker dies."""

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Engross, running, until

pytestmark = [pytest.mark.xdist_group("approvals_by_command"), pytest.mark.timeout(400)]

JOB = """from decimal import Decimal
from engross import Above, Approval, Chain, Job, Risk, Rule, Step
from .schema import Slip
JOB = Job(description="a slip; people look at large ones", pattern=Chain(Step("read", output=Slip)), approval=Approval(
    rules=(
        Rule(name="over 1000", when=Above(field="total", limit=Decimal(1000)), risk=Risk.HIGH),
        Rule(name="over 100", when=Above(field="total", limit=Decimal(100)), risk=Risk.MEDIUM),
    ),
))
"""
SCHEMA = """from pydantic import BaseModel, Field
class Slip(BaseModel):
    total: float = Field(description="Labelled: Total.")
"""
MOST_SECONDS = 120


@dataclass(frozen=True)
class Desk:
    """The stack, and the keys of two people who may approve."""

    engross: Engross
    keys: dict[str, str]

    def decide(self, by: str, kind: str, which: str, *more: str) -> dict[str, Any]:
        """What the command says as JSON of a decision on what is shown now, or on what `more` says."""
        chosen = more if "--shown" in more else (*more, "--latest")
        ended = self.engross("approvals", kind, which, "--yes", *chosen, "--json", ENGROSS_USER_KEY=self.keys[by])
        assert "Traceback" not in ended.stderr
        assert ended.stdout, ended.stderr
        [report] = map(json.loads, ended.stdout.splitlines())
        return dict(report)

    def waiting(self, run_id: str) -> dict[str, Any]:
        """The approval of that run, once people are asked."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            listed = self.engross("approvals", "show", run_id, "--json", ENGROSS_USER_KEY=self.keys["ann"])
            found[:] = map(json.loads, listed.stdout.splitlines())
            return bool(found)

        until(is_there, MOST_SECONDS)
        return found[0]

    def submit(self, document: Path) -> str:
        submitted = self.engross("submit", "slips", str(document), "--json")
        assert submitted.returncode == 0, submitted.stderr
        return str(json.loads(submitted.stdout)["run_id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        """The report on a run that has ended."""
        until(lambda: self.engross.outcome(run_id) not in (None, "parked", "needs_approval"), MOST_SECONDS)
        report: dict[str, Any] = json.loads(self.engross("result", run_id, "--json").stdout)
        return report


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    jobs = tmp_path_factory.mktemp("jobs")
    (jobs / "slips" / "prompts").mkdir(parents=True)
    (jobs / "slips" / "job.py").write_text(JOB)
    (jobs / "slips" / "schema.py").write_text(SCHEMA)
    (jobs / "slips" / "prompts" / "read.md").write_text("Read the slip.")
    with running(tmp_path_factory.mktemp("approvals"), ENGROSS_JOBS_PATH=str(jobs)) as engross:
        keys = {}
        for name in ("ann", "ben"):
            for command in (
                ("add", name, "--no-password"),
                ("grant", name, "approver", "--tenant", "default"),
                ("key", name, "--label", "tests"),
            ):
                told = engross("users", *command)
                assert told.returncode == 0, told.stderr
            keys[name] = told.stdout.strip()
        yield Desk(engross, keys)


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - makes documents new


def slip(folder: Path, seed: int, total: int, name: str = "slip") -> Path:
    file = folder / f"{name}.txt"
    file.write_text(f"Slip {seed}\nTotal: {total}.50\n")
    return file


def test_two_people_approve_by_command_what_is_then_stored(desk: Desk, tmp_path: Path, seed: int) -> None:
    run_id = desk.submit(slip(tmp_path, seed, 2000))
    waiting = desk.waiting(run_id)
    assert (waiting["risk"], waiting["needed"], waiting["answer"]) == ("high", 2, {"total": 2000.5})

    first = desk.decide("ann", "approve", run_id)
    assert (first["verdict"], first["given"], first["error"]) == ("open", 1, None)
    assert desk.decide("ann", "approve", run_id)["error"]["type"] == "DuplicateDecision"
    assert desk.engross.outcome(run_id) != "done"
    second = desk.decide("ben", "approve", run_id)
    assert (second["verdict"], second["given"], second["shown"]) == ("approved", 2, waiting["shown"])

    report = desk.ended(run_id)
    assert (report["outcome"], report["answer"]) == ("done", {"total": 2000.5})
    decided = {name: report["approval"][name] for name in ("approval_id", "risk", "verdict", "by")}
    wanted = {"approval_id": waiting["approval_id"], "risk": "high", "verdict": "approved", "by": ["ann", "ben"]}
    assert decided == wanted
    assert desk.engross("audit", "verify").returncode == 0


@pytest.mark.fault(46, 58)
def test_a_document_swapped_after_its_approval_is_approved_anew(desk: Desk, tmp_path: Path, seed: int) -> None:
    run_id = desk.submit(slip(tmp_path, seed, 200))
    before = desk.waiting(run_id)
    assert desk.decide("ann", "approve", run_id)["verdict"] == "approved"
    assert desk.ended(run_id)["outcome"] == "done"

    swapped = desk.submit(slip(tmp_path, seed, 900))  # the same file, by name
    after = desk.waiting(swapped)
    assert (swapped != run_id, after["verdict"], after["given"]) == (True, "open", 0)
    stale = desk.decide("ann", "approve", swapped, "--shown", before["shown"])
    assert (stale["error"] or {}).get("type") == "StaleDecision"
    assert desk.decide("ann", "reject", swapped, "--reason", "not what I saw")["verdict"] == "rejected"
    report = desk.ended(swapped)
    assert (report["outcome"], report["approval"]["verdict"]) == ("rejected", "rejected")
    assert json.loads(desk.engross("result", run_id, "--json").stdout)["answer"] == {"total": 200.5}


def test_a_worker_killed_while_people_are_asked_loses_nothing(desk: Desk, tmp_path: Path, seed: int) -> None:
    run_id = desk.submit(slip(tmp_path, seed, 3000))
    desk.waiting(run_id)
    assert desk.decide("ann", "approve", run_id)["given"] == 1
    os.kill(desk.engross.worker_pid(), signal.SIGKILL)
    assert desk.engross("up", "--detach").returncode == 0
    assert desk.waiting(run_id)["approved_by"] == ["ann"]
    assert desk.decide("ben", "approve", run_id)["verdict"] == "approved"
    assert desk.ended(run_id)["outcome"] == "done"


def test_documents_of_a_batch_go_on_in_runs_of_their_own(desk: Desk, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "batch"
    folder.mkdir()
    for number, total in enumerate((10, 200, 300, 20)):
        slip(folder, seed, total, f"{number}")
    ended = desk.engross("batch", "submit", "slips", str(folder), "--wait", "--json")
    report = json.loads(ended.stdout)
    counts = {name: report[name] for name in ("state", "total", "done", "needs_approval")}
    assert counts == {"state": "ended", "total": 4, "done": 2, "needs_approval": 2}, ended.stderr
    rows = rows_of(desk.engross, report["batch_id"])
    assert [row["outcome"] for row in rows] == ["done", "needs_approval", "needs_approval", "done"]

    for row, kind, more in ((rows[1], "approve", ()), (rows[2], "reject", ("--reason", "no"))):
        desk.waiting(row["run_id"])
        assert desk.decide("ann", kind, row["run_id"], *more)["error"] is None
        desk.ended(row["run_id"])
    now = rows_of(desk.engross, report["batch_id"])
    assert [row["outcome"] for row in now] == ["done", "done", "rejected", "done"]
    assert [row["run_id"] for row in now] == [row["run_id"] for row in rows]
    after = json.loads(desk.engross("batch", "status", report["batch_id"], "--json").stdout)
    assert [after[name] for name in ("done", "rejected", "needs_approval")] == [3, 1, 0]


def rows_of(engross: Engross, batch_id: str) -> list[dict[str, Any]]:
    """What `engross batch rows` lists."""
    listed = engross("batch", "rows", batch_id, "--json")
    assert listed.returncode in (0, 1), listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()]
