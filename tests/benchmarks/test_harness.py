"""The harness as one calls it, on a stack of its own: three documents or chunks, calls of 10 ms."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--parts", "3", "--latency", "0.01", "--rounds", "1")


def bench(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *QUICK, *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def by_name(content: dict[str, Any], scenario: str) -> dict[str, dict[str, Any]]:
    [found] = [each for each in content["scenarios"] if each["name"] == scenario]
    return {contender["name"]: contender for contender in found["contenders"]}


def test_everybody_does_the_same_work_and_it_is_written_down(tmp_path: Path) -> None:
    file = tmp_path / "new" / "figures.json"
    # Keys and servers of somebody's must not be used.
    others = {"OPENAI_API_KEY": "sk-real", "TEMPORAL_ADDRESS": "temporal.test:7233", "ENGROSS_HOME": "/nowhere"}
    ended = bench(tmp_path, "--scenario", "a", "--scenario", "b", "--seed", "77", "--json", str(file), **others)
    assert ended.returncode == 0, ended.stderr
    content = json.loads(file.read_text())
    assert (content["seed"], content["rounds"]) == (77, 1)

    tree, pages = by_name(content, "a"), by_name(content, "b")
    [chunks] = tree["raw"]["samples"]
    assert chunks["calls"] == 4  # three chunks, and what they come to
    [raw], [run] = pages["raw"]["samples"], pages["single runs"]["samples"]
    assert (raw["calls"], run["calls"]) == (3, 3)
    assert raw["input_tokens"] == run["input_tokens"]
    assert raw["history"] is None
    assert run["history"]["events"] >= 3 * 10
    assert "ask_model" in {step["step"] for step in run["history"]["steps"]}
    [together] = pages["batch"]["samples"]
    assert together["calls"] == 3
    assert together["history"]["events"] > 0
    assert pages["single runs"]["figures"]["worker_and_server_ms"]["median"] > 0
    assert "single runs" in ended.stdout

    assert [path.name for path in tmp_path.iterdir()] == ["new"]  # the stack is gone, and its folder with it
    assert str(tmp_path) not in file.read_text()
