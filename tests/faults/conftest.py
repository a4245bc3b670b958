"""A stack for faults: impatient, with prices, and with jobs whose routes are one wire, the other, or both."""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from engross.settings import Settings
from starters.client import Client
from starters.reports import RunReport, json_line
from starters.running import run
from tests.e2e.conftest import Engross, running
from tests.faults.fleet import servers

MODEL_SECONDS: Final = 3
ROUTES: Final = {
    "over_openai": "openai:stand-in",
    "over_anthropic": "anthropic:stand-in",
    "with_fallback": "openai:stand-in,anthropic:stand-in",
}
WIRES: Final = ("over_openai", "over_anthropic")
JOB: Final = """from engross import Chain, Job, Step
from .schema import Slip
JOB = Job(description="a slip", pattern=Chain(Step("read", output=Slip, route="{route}")))
"""
SCHEMA: Final = """from pydantic import BaseModel, Field
class Slip(BaseModel):
    total: float = Field(description="Labelled: Total.", ge=0, le=1_000_000)
    note: str = ""
"""


@dataclass(frozen=True)
class Faulty:
    """The stack, and documents of a known total. Each is another one, so that no reply of an earlier test is kept."""

    engross: Engross
    settings: Settings
    numbers: Iterator[int]
    seed: int

    def document(self, text: str = "", name: str = "slip") -> Path:
        number = next(self.numbers)
        file = self.engross.folder / f"{name}-{number}.txt"
        file.write_text(f"Slip {number} of {self.seed}\n{text}\nTotal: {number}.50\n")
        return file

    def run(self, job: str, *faults: dict[str, Any], text: str = "", closed: bool = True) -> dict[str, Any]:
        """One document through `job` while things go wrong as scripted: its report."""
        if closed:
            self.close_circuits()
        self.engross.script(*faults)
        [report] = self.submit(job, self.document(text))
        return report

    def submit(self, job: str, *documents: Path) -> list[dict[str, Any]]:
        """The reports on documents submitted together. In this process: the command takes a second to start."""

        async def submitted(client: Client, document: Path) -> RunReport:
            run = await client.submit(job, document)
            return await client.wait(run.run_id)

        async def work() -> list[RunReport]:
            async with await Client.connect(self.settings) as client:
                return await asyncio.gather(*(submitted(client, document) for document in documents))

        return [json.loads(json_line(report)) for report in run(work())]

    def arrived(self) -> list[dict[str, Any]]:
        """The calls since the last script."""
        return self.engross.calls()

    def close_circuits(self) -> None:
        """Forgets what earlier tests did to the providers."""
        port = self.engross.environment["ENGROSS_REDIS_PORT"]
        with redis.Redis(port=int(port)) as client:
            for pattern in ("engross:{breaker:*", "engross:{limits}:paused:*"):
                for key in client.scan_iter(pattern):
                    client.delete(key)


def write_jobs(root: Path) -> str:
    for name, route in ROUTES.items():
        folder = root / name
        (folder / "prompts").mkdir(parents=True)
        (folder / "job.py").write_text(JOB.format(route=route))
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "prompts" / "read.md").write_text("Read the slip.")
    return str(root)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    seed = random.randrange(10**6)  # noqa: S311 - numbers of slips
    variables = {
        "ENGROSS_JOBS_PATH": write_jobs(tmp_path_factory.mktemp("jobs")),
        "ENGROSS_MODEL": "openai:stand-in,anthropic:stand-in",
        "ENGROSS_MODEL_TIMEOUT_SECONDS": str(MODEL_SECONDS),
        "ENGROSS_PRICES": "openai:stand-in=1/4,anthropic:stand-in=1/4",
    }
    with running(tmp_path_factory.mktemp("faults"), **variables) as command:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own keyword
            home=Path(command.environment["ENGROSS_HOME"]),
            jobs_path=(Path(variables["ENGROSS_JOBS_PATH"]),),
            model=variables["ENGROSS_MODEL"],
        )
        yield Faulty(command, settings, itertools.count(seed), seed)


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engross]:
    """Servers without a worker: the tests have workers of their own, to kill."""
    with servers(tmp_path_factory.mktemp("servers")) as command:
        yield command
