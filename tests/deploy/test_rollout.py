"""The rollout script against a pretended cluster: in which order it acts, and what it leaves alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import fake_kubectl

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "scripts" / "rollout"
OLD = {"engross-workflows-old": "old", "engross-documents-old": "old"}
NEW = {"engross-workflows-new": "new", "engross-documents-new": "new"}
IMAGE = "registry.example.com/engross:new"


class Cluster:
    """Where the script runs: `kubectl` is ours there."""

    def __init__(self, folder: Path, **state: Any) -> None:
        self.folder = folder
        default = {"deployments": OLD, "applies": NEW, "codes": {"engross builds drained new": 2}, "keda": False}
        (folder / "state.json").write_text(json.dumps({**default, **state}))
        (folder / "calls").touch()
        kubectl = folder / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nexec {sys.executable} {fake_kubectl.__file__} "$@"\n')
        kubectl.chmod(0o755)

    def rollout(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "FAKE_CLUSTER": str(self.folder),
            **variables,
        }
        return subprocess.run(
            [str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def commands(self) -> list[str]:
        """The `engross` commands, each with the Deployment that it ran in."""
        calls = [call.partition(" exec ")[2] for call in (self.folder / "calls").read_text().splitlines()]
        return [call.replace(" --container engross -- engross", ":") for call in calls if call]

    @property
    def deployments(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "state.json").read_text())["deployments"]
        return found


def test_a_build_is_started_promoted_and_the_drained_one_removed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    rolled = cluster.rollout(IMAGE, DRAIN_SECONDS="7")
    assert rolled.returncode == 0, rolled.stderr
    assert cluster.commands == [
        "deployment.apps/engross-workflows-new: builds promote new",
        "deployment.apps/engross-workflows-new: builds drained new --wait 7",
        "deployment.apps/engross-workflows-old: builds drained old --wait 7",
    ]
    assert cluster.deployments == NEW
    assert 'newTag: "new"' in (tmp_path / "applied").read_text()
    calls = (tmp_path / "calls").read_text()
    ready = calls.rindex("rollout status")
    assert ready < calls.index("promote")


def test_a_build_with_open_runs_stays(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, codes={"engross builds drained old": 1, "engross builds drained new": 2})
    rolled = cluster.rollout(IMAGE)
    assert (rolled.returncode, cluster.deployments) == (0, {**OLD, **NEW}), rolled.stderr
    assert "engross builds move" in rolled.stdout


def test_nothing_is_removed_when_the_question_fails(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, codes={"engross builds drained": 3})
    rolled = cluster.rollout("clean")
    assert (rolled.returncode, cluster.deployments) == (1, OLD)
    assert "exit code 3" in rolled.stderr


def test_a_refused_promotion_ends_it(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, codes={"engross builds promote": 1})
    rolled = cluster.rollout(IMAGE)
    assert (rolled.returncode, cluster.deployments) == (1, {**OLD, **NEW})
    assert len(cluster.commands) == 1


def test_a_ramp_comes_first(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    assert cluster.rollout(IMAGE, RAMP="10", PAUSE="0").returncode == 0
    assert [command.partition(": ")[2] for command in cluster.commands[:2]] == [
        "builds promote new --ramp 10",
        "builds promote new",
    ]


def test_scalers_go_with_what_they_scale(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, keda=True)
    assert cluster.rollout("clean").returncode == 0
    assert (
        "delete deployments,scaledobjects --selector app.kubernetes.io/version=old" in (tmp_path / "calls").read_text()
    )


def test_back_asks_one_of_the_workers(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    assert cluster.rollout("back").returncode == 0
    assert cluster.commands == ["deployment.apps/engross-workflows-old: builds rollback"]


@pytest.mark.parametrize("arguments", [[], ["new"], ["back", "x"], ["clean", "x"], [IMAGE, "folder", "more"]])
def test_wrong_usage_changes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    cluster = Cluster(tmp_path)
    refused = cluster.rollout(*arguments)
    assert (refused.returncode, "usage: rollout" in refused.stderr, cluster.commands) == (1, True, [])
