"""Logs of a worker: a JSON object a line, and never what must not be told, whoever tells it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CANARY = "Jane Doe owes 4711"
SECRET = "s3cr3t-value-9"


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What a process wrote that tells the canary in every way there is."""
    done = subprocess.run(
        [sys.executable, str(HERE / "canary_process.py"), CANARY, SECRET],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=HERE.parent.parent,
        env={"PYTHONPATH": "."},
    )
    assert not done.stdout
    found = [json.loads(line, parse_constant=pytest.fail) for line in done.stderr.splitlines()]
    assert all(isinstance(line, dict) for line in found)
    for secret in (CANARY, SECRET, "Jane", "abcdefgh", "xxxx"):
        assert secret not in done.stderr, [line for line in found if secret in str(line)]
    return found


def one(lines: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    [found] = [line for line in lines if wanted.items() <= line.items()]
    return found


def test_every_line_says_when_who_and_what(lines: list[dict[str, Any]]) -> None:
    assert len(lines) > 30
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)


def test_exceptions_are_told_by_type_and_place(lines: list[dict[str, Any]]) -> None:
    for logger in ("activities.models.paid", "activities.other"):
        told = one(lines, event="with the exception", logger=logger)
        assert told["exception"] == "ValidationError"
        assert "canary_process.py:" in told["places"][0]


def test_what_nobody_catches_is_a_line_too(lines: list[dict[str, Any]]) -> None:
    for event in ("the process ends by an exception", "a thread ended by an exception"):
        assert one(lines, event=event)["exception"] == "ValueError"
    assert one(lines, event="an exception could not be raised")["exception"] == "ValueError"
    assert one(lines, event="Python warns")["category"] == "UserWarning"


@pytest.mark.parametrize("library", ["openai", "anthropic", "httpx", "temporalio.worker", "asyncio"])
def test_of_a_librarys_message_only_what_its_authors_wrote_is_told(lines: list[dict[str, Any]], library: str) -> None:
    assert one(lines, event="Request options: %s", logger=library)["level"] == "debug"
    hidden = [line for line in lines if line["logger"] == library and line["level"] == "warning"]
    assert ["canary_process.py:" in line["place"] for line in hidden] == [True]


def test_the_core_tells_which_task_and_not_what_was_in_it(lines: list[dict[str, Any]]) -> None:
    told = one(lines, logger="temporal")
    assert told["event"] == "Failing [...] task"
    assert (told["workflow_run_id"], told["attempt"]) == ("r", 3)
    assert "failure" not in told


def test_a_workflows_story_comes_with_its_fields(lines: list[dict[str, Any]]) -> None:
    told = one(lines, logger="workflows")
    assert (told["event"], told["tenant"], told["text"]) == ("run begun", "acme", f"[{len(CANARY)} characters]")


UNTOLD = "a library's message, which could quote what it works on; see its source"
LEVELS = """
import logging, sys, structlog
from workers.logs import configure_logs
levels = configure_logs(sys.argv[1])
ours, other = structlog.get_logger("activities.models.ask"), structlog.get_logger("workers.serving")
def say(when):
    for logger in (ours, other):
        logger.debug(f"debug {when}"), logger.info(f"info {when}")
    logging.getLogger("httpx").info("httpx")
    logging.getLogger("workflows").info("story")
say("before")
for wish in (("debug",), ("debug", "activities"), ("error",), ("info", "httpx")):
    levels.set(*wish)
    say(" ".join(wish))
levels.reset()
say("after")
"""


def test_levels_change_while_it_runs_and_go_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEVELS, "info"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=HERE.parent.parent,
    )
    told = [json.loads(line) for line in done.stderr.splitlines()]
    shown = [f"{line['event']} ({line['logger'].split('.')[0]})" for line in told]
    normal = ["info {} (activities)", "info {} (workers)", "story (workflows)"]
    assert shown == [
        *(line.format("before") for line in normal),
        *("debug debug (activities)", "info debug (activities)", "debug debug (workers)", "info debug (workers)"),
        "story (workflows)",
        *("debug debug activities (activities)", "info debug activities (activities)"),
        *("info debug activities (workers)", "story (workflows)"),
        *("info info httpx (activities)", "info info httpx (workers)", f"{UNTOLD} (httpx)", "story (workflows)"),
        *(line.format("after") for line in normal),
    ]
