"""A rolling deploy with runs in flight: forward, drained, stopped, and back. None is lost, each ends where it began.

FAULTS=long has four times the runs.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from temporalio.client import Client

from engross.endpoints import resolve
from engross.settings import Settings
from starters.builds import Builds
from starters.cli import builds
from starters.cli.ending import ExitCode
from starters.connection import connect
from starters.running import run
from tests.e2e.conftest import Engross
from tests.faults.figures import Record, tell
from tests.faults.fleet import (
    LONG,
    MODELS,
    WORKFLOWS_AND_DOCUMENTS,
    Fleet,
    Worker,
    in_flight,
    reply_after,
    rows,
    servers,
    until,
    write_receipts,
)

pytestmark = [pytest.mark.xdist_group("rolling"), pytest.mark.timeout(900 if LONG else 300)]

IN_FLIGHT: Final = 200 if LONG else 50
LATER: Final = 10
STEPS: Final = 2
QUEUES: Final = f"{WORKFLOWS_AND_DOCUMENTS},{MODELS}"
JOB: Final = """from engross import Chain, Job, Step
from .schema import Slip
JOB = Job(description="a slip", pattern=Chain(Step("first", output=Slip), Step("second", output=Slip)))
"""
SCHEMA: Final = """from pydantic import BaseModel, Field
class Slip(BaseModel):
    total: float = Field(description="Labelled: Total.")
"""


def write_job(root: Path, prompt: str) -> str:
    """The job as one of the builds has it: a deploy that changes a prompt."""
    folder = root / "slip"
    (folder / "prompts").mkdir(parents=True)
    (folder / "job.py").write_text(JOB)
    (folder / "schema.py").write_text(SCHEMA)
    for step in ("first", "second"):
        (folder / "prompts" / f"{step}.md").write_text(prompt)
    return str(root)


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    with servers(tmp_path_factory.mktemp("rolling")) as command:
        yield command


@pytest.fixture
def jobs(tmp_path: Path) -> dict[str, str]:
    """The folder of jobs of each build."""
    return {build: write_job(tmp_path / build, f"Read the slip, as build {build} does.") for build in ("a", "b")}


def build(build_id: str, jobs: dict[str, str]) -> dict[str, str]:
    """What its workers are started with."""
    return {"ENGROSS_BUILD_ID": build_id, "ENGROSS_JOBS_PATH": jobs[build_id]}


def settings_of(engross: Engross) -> Settings:
    return Settings(_env_file=None, home=Path(engross.environment["ENGROSS_HOME"]))  # type: ignore[call-arg]  # pydantic-settings' own keyword


def begun(engross: Engross, tenant: str, n: int, seed: int, folder: str) -> set[str]:
    """Submits `n` receipts by the command of a build: the ids of their runs."""
    write_receipts(engross.folder / f"{tenant}-{seed}", n, seed)
    paths = str(engross.folder / f"{tenant}-{seed}")
    submitted = engross("submit", "slip", paths, "--tenant", tenant, "--json", ENGROSS_JOBS_PATH=folder)
    assert submitted.returncode == 0, submitted.stderr
    found = {line.split('"run_id": "')[1].split('"')[0] for line in submitted.stdout.splitlines()}
    assert len(found) == n
    return found


def builds_of(settings: Settings, run_ids: Sequence[str]) -> Counter[str]:
    """How many of the runs each build had to the end."""

    async def asked() -> Counter[str]:
        client: Client = await connect(settings, resolve(settings))
        found: Counter[str] = Counter()
        for run_id in run_ids:
            described = await client.get_workflow_handle(run_id).describe()
            info = described.raw_description.workflow_execution_info
            found[info.versioning_info.deployment_version.build_id] += 1
        return found

    return run(asked())


def is_served(settings: Settings, build_id: str) -> bool:
    """Whether the server has heard of workers of this build on all queues; it does a moment after they poll."""

    async def asked() -> bool:
        found = Builds(await connect(settings, resolve(settings)), settings.deployment)
        listed = {build.build_id: build for build in await found.all()}
        return build_id in listed and not await found.missing(listed[build_id]) and len(listed[build_id].queues) >= 4

    return run(asked())


def doers(workers: Sequence[Worker], run_ids: set[str]) -> set[str]:
    """Those of the runs for which these workers called a model."""
    called = {
        str(line.get("run_id") or line.get("workflow_id"))
        for each in workers
        for line in each.lines(event="model call")
    }
    return called & run_ids


@pytest.mark.fault(6)
def test_a_deploy_forward_and_back_with_runs_in_flight(
    engross: Engross, jobs: dict[str, str], record_property: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - tells tenants and totals apart
    tenant, settings = f"rolling-{seed}", settings_of(engross)
    engross.script()
    with Fleet(engross) as fleet:
        a = [fleet.start(queues, **build("a", jobs)) for queues in (WORKFLOWS_AND_DOCUMENTS, MODELS)]
        until(lambda: is_served(settings, "a"), "build a does not poll")
        assert builds.promote(settings, "a", ramp=None, check=True) is ExitCode.OK
        b = fleet.start(QUEUES, **build("b", jobs))
        until(lambda: is_served(settings, "b"), "build b does not poll")

        reply_after(engross, 5)
        old = begun(engross, tenant, IN_FLIGHT, seed, jobs["a"])
        until(lambda: in_flight(engross) >= IN_FLIGHT // 2, "no calls are in flight")
        flying = in_flight(engross)
        reply_after(engross, 0.2)
        assert a[1].stop() == 0  # it hands back its calls; the second steps of their runs now wait for one of build a
        began = time.monotonic()
        assert builds.promote(settings, "b", ramp=None, check=True) is ExitCode.OK
        promoted = time.monotonic() - began
        assert builds.drained(settings, "a", wait=0) is ExitCode.NOT_DONE
        new = begun(engross, tenant, LATER, seed + 1, jobs["b"])
        a.append(fleet.start(MODELS, **build("a", jobs)))
        assert builds.drained(settings, "a", wait=200) is ExitCode.OK
        drained = time.monotonic() - began
        assert [worker.stop() for worker in (a[0], a[2])] == [0, 0]

        again = fleet.start(QUEUES, **build("a", jobs))
        until(again.polls, "build a does not poll again")
        until(lambda: is_served(settings, "a"), "build a is not known again")
        assert builds.rollback(settings) is ExitCode.OK
        back = begun(engross, tenant, LATER, seed + 2, jobs["a"])
        assert builds.drained(settings, "b", wait=100) is ExitCode.OK
        assert b.stop() == 0
        until(lambda: len(rows(engross, tenant)) == IN_FLIGHT + 2 * LATER, "runs were lost")
    found = rows(engross, tenant)
    ended = {
        name: dict(builds_of(settings, sorted(each))) for name, each in (("old", old), ("new", new), ("back", back))
    }
    figures = (
        f"{flying} calls in flight when a model worker of a was stopped, b promoted in {promoted:.1f} s,"
        f" a drained after {drained:.0f} s,"
        f" ended on {ended}, {len(engross.calls())} calls for {len(found)} documents"
    )
    told = tell(record_property, len(found), seed, figures)
    capsys.readouterr()
    assert {(row.outcome, row.calls, row.maybe_billed) for row in found} == {("done", STEPS, 0)}, told
    assert len(engross.calls()) == STEPS * len(found), told
    assert ended == {"old": {"a": len(old)}, "new": {"b": len(new)}, "back": {"a": len(back)}}, told
    assert doers(a, old) == old, told
    assert doers([b], new) == new, told
