"""Runs in flight survive a deploy: every committed history replays against the code as it is."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from workers.wiring import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


# Where a workflow names its children by its own id, and that isn't the name of the file.
IDS = {"approval-corrected": "chain-approved-approval", "chain-waiting-for-people": "chain-waiting"}


def load(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(IDS.get(file.stem, file.stem), json.loads(file.read_text(encoding="utf-8")))


def type_of(defined: type) -> str:
    return str(workflow._Definition.must_from_class(defined).name)


BY_TYPE = {type_of(defined): defined for defined in WORKFLOWS}


@pytest.mark.parametrize("name", BY_TYPE)
def test_every_workflow_has_histories(name: str) -> None:
    assert [file for file in HISTORIES if file.name.startswith(f"{name}-")], f"no history of {name}"


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_committed_history_replays(file: Path) -> None:
    """Against the workflow that its name begins with."""
    defined = BY_TYPE[file.stem.partition("-")[0]]
    await Replayer(workflows=[defined], data_converter=pydantic_data_converter).replay_workflow(load(file))


@workflow.defn(name="chain", sandboxed=False)
class AnotherChain:
    """What a careless change would be: the same type, other commands."""

    @workflow.run
    async def run(self, request: object) -> None:
        await workflow.sleep(1)


async def test_an_incompatible_change_is_caught() -> None:
    [done] = [file for file in HISTORIES if file.stem == "chain-done"]
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[AnotherChain], data_converter=pydantic_data_converter).replay_workflow(load(done))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_run_is_small(file: Path) -> None:
    events = load(file).events
    # Of eight acts by three people, each kept in the inbox with all that it shows.
    most = 20_000 if file.stem.startswith("chain-") else 45_000 if file.stem.startswith("approval-") else 30_000
    assert sum(len(event.SerializeToString()) for event in events) < most
