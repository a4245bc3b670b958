"""Records one history for each way a chain can go: `python -m tests.workflows.record_histories`, on a real server.

Only add to the folder: a history that no longer replays is a deploy that would break runs in flight (CONTRIBUTING says
what to do then).
"""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import ReplyStatus
from engross.names import SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE
from starters.running import run
from tests.conftest import BIN
from tests.workflows.fakes import ScriptedActivities, reply, step
from tests.workflows.harness import REQUEST, must_wait, workers
from workers.search_attributes import add_search_attributes

FOLDER: Final = Path(__file__).parent / "histories"
_INVALID: Final = ReplyStatus.INVALID


def scripts() -> dict[str, ScriptedActivities]:
    """A script for each way, by the name of its history."""
    encrypted = ApplicationError("needs a password", type="EncryptedDocument", non_retryable=True)
    unusable = ApplicationError("refused key", type="AuthenticationFailed", non_retryable=True)
    return {
        "done": ScriptedActivities(),
        "two-steps": ScriptedActivities(replies=[reply(), reply()], steps=[step("first"), step("second")]),
        "mended": ScriptedActivities(replies=[reply(_INVALID)], fixes=[reply(calls=0, cost="0")]),
        "asked-again": ScriptedActivities(replies=[reply(_INVALID), reply()]),
        "needs-approval": ScriptedActivities(replies=[reply(_INVALID)] * 2),
        "refused": ScriptedActivities(replies=[reply(ReplyStatus.REFUSED)]),
        "truncated": ScriptedActivities(replies=[reply(ReplyStatus.TRUNCATED)] * 2),
        "truncated-once": ScriptedActivities(replies=[reply(ReplyStatus.TRUNCATED), reply()]),
        "moved-on": ScriptedActivities(replies=[unusable, reply()], steps=[step(models=("first", "second"))]),
        "waited": ScriptedActivities(replies=[must_wait("LimitReached", 1), must_wait("CircuitOpen", 1), reply()]),
        "invalid-twice": ScriptedActivities(replies=[reply(_INVALID)] * 4, steps=[step(models=("first", "second"))]),
        "parked": ScriptedActivities(replies=[must_wait("CircuitOpen", 1, "AuthenticationFailed"), reply()]),
        "over-budget": ScriptedActivities(
            replies=[reply(_INVALID), must_wait("BudgetExhausted", 1), reply()], budget_usd=Decimal(1)
        ),
        "looked-again": ScriptedActivities(
            replies=[unusable, must_wait("CircuitOpen", 1), reply()], steps=[step(models=("first", "second"))]
        ),
        "unreadable": ScriptedActivities(prepare_error=encrypted),
    }


async def record(client: Client, name: str, fakes: ScriptedActivities, request: Any = REQUEST) -> None:
    """Runs a script to its end and writes the history, unless there is one: those that runs have had stay."""
    file = FOLDER / f"chain-{name}.json"
    if file.exists():
        return
    async with workers(client, fakes):
        handle = await client.start_workflow("chain", request, id=name, task_queue=WORKFLOWS_QUEUE)
        with suppress(WorkflowFailureError):  # some scripts are meant to fail
            await handle.result()
        history = await handle.fetch_history()
    text = json.dumps(without_the_machine(json.loads(history.to_json())), indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def without_the_machine(value: Any, key: str = "") -> Any:
    """The history without paths and names of the machine that it was recorded on; a replay reads neither."""
    if isinstance(value, dict):
        return {name: without_the_machine(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_the_machine(inner, key) for inner in value]
    if isinstance(value, str) and key == "stackTrace":
        return ""
    if isinstance(value, str) and "@" in value and key in {"identity", "name", "normalName"}:
        return "worker"
    return value


async def main() -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(BIN / "temporal"), data_converter=pydantic_data_converter
    ) as environment:
        await add_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        for name, fakes in scripts().items():
            await record(environment.client, name, fakes)
        await record(environment.client, "wrong-input", ScriptedActivities(), request={"job": 5})


if __name__ == "__main__":
    run(main())
