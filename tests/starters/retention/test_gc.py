"""`engross gc` on a whole stack: everything that goes on afterwards still has what it needs, however old that is."""

import base64
import hashlib
import json
import os
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from starters.retention.lock import KEY
from tests.e2e.conftest import Engross, running, until, write_job
from tests.e2e.pattern_jobs import sections, write_pattern_jobs

pytestmark = [pytest.mark.xdist_group("retention"), pytest.mark.timeout(400)]

MONTH = 30 * 24 * 3600
CHUNKS = 12
REFUSED = {"kind": "auth", "status": 401, "for_seconds": 600}


@dataclass(frozen=True)
class World:
    """A stack with a run that is done, one whose approval waits, and some that are parked in the middle."""

    engross: Engross
    key: str
    done: dict[str, Any]
    asks: str
    parked: list[str] = field(default_factory=list)

    @property
    def blobs(self) -> Path:
        return Path(self.engross.environment["ENGROSS_HOME"]) / "blobs"

    def files(self) -> set[str]:
        """The hashes of all blobs."""
        return {file.name for file in self.blobs.rglob("*") if file.is_file() and len(file.name) == 64}

    def age(self) -> None:
        """Makes all blobs a month old."""
        then = time.time() - MONTH
        for file in self.blobs.rglob("*"):
            if file.is_file():
                os.utime(file, (then, then))

    def put(self, content: bytes) -> str:
        """A blob that nothing names."""
        sha256 = hashlib.sha256(content).hexdigest()
        file = self.blobs / "default" / sha256[:2] / sha256
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return sha256

    def gc(self, *arguments: str, **variables: str) -> dict[str, dict[str, Any]]:
        """The reports by tenant."""
        ended = self.engross("gc", *arguments, "--json", **variables)
        assert ended.returncode == 0, ended.stderr
        return {report["tenant"]: report for report in map(json.loads, ended.stdout.splitlines())}


def submitted(engross: Engross, *arguments: str) -> list[str]:
    ended = engross("submit", *arguments, "--json")
    assert ended.returncode in (0, 1), ended.stderr
    return [json.loads(line)["run_id"] for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    seed = random.randrange(10**6)  # noqa: S311  # no secret
    print(f"seed {seed}")  # noqa: T201  # for whoever repeats it
    jobs = write_pattern_jobs(Path(write_job(tmp_path_factory.mktemp("jobs"))))
    folder = tmp_path_factory.mktemp("retention")
    for name, text in (
        ("done", "Section: a\nTotal: 1.50"),
        ("asks", "Section: b\nTotal: 2.50"),
        ("parks", "Section: c\nTotal: 3.50"),
        ("long", sections(seed, CHUNKS)),
    ):
        (folder / f"{name}.txt").write_text(f"{text}\n")
    batch = folder / "batch"
    batch.mkdir()
    for number in range(3):
        (batch / f"{number}.txt").write_text(f"Section: {seed}-{number}\nTotal: {number}.25\n")
    # Encrypted: histories and blobs then have to be opened before anybody knows what they name.
    master = f"tests:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with running(folder, ENGROSS_JOBS_PATH=jobs, ENGROSS_ENCRYPTION_KEYS=master) as engross:
        for command in (("add", "ann", "--no-password"), ("grant", "ann", "approver", "--tenant", "default")):
            assert engross("users", *command).returncode == 0
        key = engross("users", "key", "ann", "--label", "tests").stdout.strip()
        [done] = engross.submit("single", str(folder / "done.txt"))
        [asks] = submitted(engross, "single", str(folder / "asks.txt"), "--review")
        until(lambda: engross.outcome(asks) == "needs_approval")
        engross.script(REFUSED)
        parked = submitted(engross, "slip", str(folder / "parks.txt"))
        parked += submitted(engross, "sections", str(folder / "long.txt"))
        started = engross("batch", "submit", "slip", str(batch), "--json")
        assert started.returncode == 0, started.stderr
        until(lambda: [engross.outcome(run) for run in parked] == ["parked"] * 2)
        until(lambda: len(engross("list", "--outcome", "parked", "--json").stdout.splitlines()) == 5)
        yield World(engross, key, done, asks, parked)


def test_what_waits_for_months_still_has_all_that_it_needs(world: World) -> None:
    engross = world.engross
    garbage = {world.put(b"nobody needs this %d" % number) for number in range(5)}
    before = world.files()
    world.age()
    young = world.put(b"nobody needs this, but it is new")

    would = world.gc("--dry-run")
    assert world.files() == before | {young}
    did = world.gc()

    assert did == would
    left = world.files()
    gone = before - left
    assert garbage <= gone
    assert young in left
    assert len(gone) == did["default"]["deleted"]["blobs"]
    assert len(left) == did["default"]["kept"]["blobs"] + did["default"]["young"]["blobs"]
    assert len(gone) > len(garbage), "the text of the run that is done is needed no more"
    assert did["default"]["kept"]["blobs"] > CHUNKS

    engross.script()
    assert engross("resume", "--all").returncode == 0
    until(lambda: not engross("list", "--outcome", "parked", "--json").stdout, 120)
    assert [engross.outcome(run) for run in world.parked] == ["done"] * 2
    decide = ("approvals", "approve", world.asks, "--yes", "--latest", "--json")
    decided = engross(*decide, ENGROSS_USER_KEY=world.key)
    assert decided.returncode == 0, decided.stderr
    until(lambda: engross.outcome(world.asks) == "done")
    listed = [json.loads(line) for line in engross("list", "--json").stdout.splitlines()]
    assert {run["outcome"] for run in listed} == {"done"}
    report = json.loads(engross("result", world.done["run_id"], "--json").stdout)
    assert report["answer"] == world.done["answer"]


def test_killed_in_the_middle_it_goes_on_when_it_is_run_again(world: World) -> None:
    needed = world.gc()["default"]["kept"]["blobs"]
    for number in range(4000):
        world.put(b"many %d" % number)
    world.age()
    many = len(world.files())
    command = [sys.executable, "-m", "starters.cli", "gc"]
    with subprocess.Popen(command, env=dict(world.engross.environment), cwd=world.engross.folder) as process:
        until(lambda: len(world.files()) < many or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was quicker than its killer"
    assert needed < len(world.files()) < many

    again = world.engross("gc")
    assert (again.returncode, again.stdout) == (1, "")
    assert "runs already" in again.stderr
    assert "nothing was deleted" in again.stderr
    # The lock of the killed one ends after a minute.
    with redis.Redis(port=int(world.engross.environment["ENGROSS_REDIS_PORT"])) as client:
        assert client.delete(KEY) == 1
    assert world.gc()["default"]["deleted"]["blobs"] > 0
    assert len(world.files()) == needed


def test_old_runs_go_and_their_documents_with_them(world: World) -> None:
    database = Path(world.engross.environment["ENGROSS_HOME"]) / "results.db"
    with sqlite3.connect(database) as connection:
        before = connection.execute("select count(*) from runs").fetchone()[0]
        connection.execute(
            "update runs set stored_at = replace(stored_at, '20', '19') where run_id = ?", [world.done["run_id"]]
        )
    connection.close()
    world.age()

    would = world.gc("--dry-run", ENGROSS_RESULT_DAYS="30")
    did = world.gc(ENGROSS_RESULT_DAYS="30")

    assert did == would
    assert did["default"]["runs"] == 1
    assert did["default"]["deleted"]["blobs"] >= 1
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from runs").fetchone()[0] == before - 1
    connection.close()
    assert world.engross("audit", "verify").returncode == 0


def test_people_see_a_table_and_why_results_stay_longer(world: World) -> None:
    ended = world.engross("gc", "--dry-run", ENGROSS_RESULT_DAYS="0.001")
    assert ended.returncode == 0, ended.stderr
    assert "would delete" in ended.stdout
    assert "default" in ended.stdout
    assert "ENGROSS_RESULT_DAYS is 0.001, but Temporal shows ended runs longer" in ended.stderr


def test_wrong_usage_and_servers_that_are_gone(world: World) -> None:
    before = world.files()
    wrong = world.engross("gc", "--tenant", "../x")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    gone = world.engross("gc", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert gone.returncode == 3
    assert "nothing was deleted" in gone.stderr
    assert world.files() == before
