"""Runs and batches by the client in this process, where a test needs many: the command takes a second to start."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from engross.settings import Settings, variable
from starters.batches import BatchClient
from starters.reports import RunReport, json_line
from starters.running import run
from tests.e2e.conftest import Engross

_Value = TypeVar("_Value")


def asked(engross: Engross, work: Callable[[BatchClient], Awaitable[_Value]]) -> _Value:
    """What `work` gives, with a client of that stack."""

    async def connected() -> _Value:
        async with await BatchClient.connect(settings_of(engross)) as client:
            return await work(client)

    return run(connected())


def reports_of(engross: Engross, *work: tuple[str, Path], cache: bool = True) -> list[dict[str, Any]]:
    """The reports on documents, each with its job, that are submitted together, as the command gives them."""

    async def submitted(client: BatchClient, job: str, document: Path) -> RunReport:
        started = await client.submit(job, document, cache=cache)
        return await client.wait(started.run_id)

    async def all_of_them(client: BatchClient) -> Iterable[RunReport]:
        return await asyncio.gather(*(submitted(client, job, document) for job, document in work))

    return [json.loads(json_line(report)) for report in asked(engross, all_of_them)]


def settings_of(engross: Engross) -> Settings:
    """The settings of that stack."""
    names = ("home", "jobs_path", "model", "prices")
    told: dict[str, Any] = {
        name: engross.environment[variable(name)] for name in names if variable(name) in engross.environment
    }
    return Settings(_env_file=None, **told)  # type: ignore[call-arg]  # pydantic-settings' own keyword
