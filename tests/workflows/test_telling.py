"""A run's story in the log: each thing once, on replay nothing, and never a reason to fail."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from engross.contracts import ActKind, Outcome, ReplyStatus
from engross.names import RESUME_SIGNAL
from tests.workflows.fakes import ScriptedActivities, reply
from tests.workflows.harness import run, start, workers
from tests.workflows.test_approval import waiting
from tests.workflows.test_parking import until_parked, wrong_key
from tests.workflows.test_replay import BY_TYPE, HISTORIES, load
from workflows.telling import tell

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Story(logging.Handler):
    """The lines that workflows told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append({"event": record.msg, **getattr(record, "engross", {})})


@pytest.fixture
def story() -> Iterator[list[dict[str, Any]]]:
    logger, handler = logging.getLogger("workflows"), Story()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_a_run_is_told_from_begin_to_end(environment: WorkflowEnvironment, story: list[dict[str, Any]]) -> None:
    await run(environment.client, ScriptedActivities(), run_id="told")
    assert [line["event"] for line in story] == ["run begun", "run ended"]
    for line in story:
        assert (line["run_id"], line["workflow_id"], line["job"], line["tenant"]) == ("told", "told", "invoice", "acme")
    ended = story[-1]
    assert (ended["outcome"], ended["cost_usd"], ended["calls"], ended["error"]) == ("done", 0.001, 1, None)


async def test_a_run_that_waits_says_why_and_when_it_goes_on(
    environment: WorkflowEnvironment, story: list[dict[str, Any]]
) -> None:
    fakes = ScriptedActivities(replies=[wrong_key(), reply()])
    async with workers(environment.client, fakes):
        run = await start(environment.client, "waits")
        await until_parked(run)
        await run.signal(RESUME_SIGNAL)
        await run.result()
    assert [(line["event"], line["error"]) for line in story if "error" in line] == [
        ("run parked", "AuthenticationFailed"),
        ("run goes on", None),
        ("run ended", None),
    ]


async def test_people_are_told_of_by_number_and_not_by_name(
    environment: WorkflowEnvironment, story: list[dict[str, Any]]
) -> None:
    async with waiting(environment.client, "asks") as run:
        assert await run.act(ActKind.APPROVE, "ann") == "counted"
        await run.run.result()
    [asked] = [line for line in story if line["event"] == "people are asked"]
    [decided] = [line for line in story if line["event"] == "people decided"]
    assert (asked["risk"], asked["round"], asked["step"]) == ("medium", 1, decided["step"])
    assert (decided["verdict"], decided["people"]) == ("approved", 1)
    assert "ann" not in str(story)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_replay_tells_nothing(file: Any, story: list[dict[str, Any]]) -> None:
    defined = BY_TYPE[file.stem.partition("-")[0]]
    await Replayer(workflows=[defined], data_converter=pydantic_data_converter).replay_workflow(load(file))
    assert story == []


async def test_a_log_that_breaks_fails_no_run(
    environment: WorkflowEnvironment, story: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_record: logging.LogRecord) -> bool:
        raise OSError("the disk is full")

    logger = logging.getLogger("workflows")
    logger.addFilter(breaks)
    try:
        fakes = ScriptedActivities(replies=[reply(ReplyStatus.VALID)])
        assert (await run(environment.client, fakes, run_id="untold")).outcome is Outcome.DONE
    finally:
        logger.removeFilter(breaks)
    assert story == []


async def test_outside_of_workflows_nothing_is_told(story: list[dict[str, Any]]) -> None:
    tell("run begun")
    await asyncio.sleep(0)
    assert story == []
