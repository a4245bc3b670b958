"""Records one history for each way a run can go: `python -m tests.workflows.record_histories`, on a real server.

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

from engross.contracts import (
    SEGMENT_CHUNKS,
    ActKind,
    Approval,
    ApprovalResult,
    Assessment,
    EventKind,
    Reply,
    ReplyStatus,
    Risk,
)
from engross.names import APPROVAL, DECIDE, PLAIN_TEXT, SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE
from starters.running import run
from tests.conftest import BIN
from tests.workflows.approvals import ScriptedPeople, act, approval_of, decide, state_of, value
from tests.workflows.batches import BatchActivities, failing, manifest
from tests.workflows.batches import workers as batch_workers
from tests.workflows.fakes import ScriptedActivities, blob, reply, step
from tests.workflows.harness import REQUEST, must_wait, until, workers
from tests.workflows.map_reductions import document, unless
from tests.workflows.test_fan_out import meeting
from tests.workflows.test_parking import until_parked
from tests.workflows.test_refine import note
from tests.workflows.test_router import post
from workers.search_attributes import add_search_attributes

FOLDER: Final = Path(__file__).parent / "histories"
PLAIN: Final = {**REQUEST, "document": {**REQUEST["document"], "media_type": PLAIN_TEXT}}
_INVALID: Final = ReplyStatus.INVALID


def chains() -> dict[str, ScriptedActivities]:
    """A script for each way that a chain can go, by the name of its history."""
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


def others() -> dict[str, tuple[str, ScriptedActivities]]:
    """A script and a workflow type for each way that other patterns can go, by the name of the history."""
    missing = unless({"chunk-2": ReplyStatus.REFUSED, "chunk-3": ReplyStatus.TRUNCATED})
    return {
        "tree": ("map_reduce", document(5, fan_in=2, at_once=2)),
        "partial": ("map_reduce", document(4, missing, partial=True)),
        "halved": ("map_reduce", document(2, unless({"chunk-1": ReplyStatus.TRUNCATED}))),
        "segments": ("map_reduce", document(SEGMENT_CHUNKS + 2)),
        "at-once": ("fan_out", meeting()),
        "one-missing": ("fan_out", meeting({"actions": ReplyStatus.REFUSED}, partial=True)),
        "routed": ("router", post()),
        "nowhere": ("router", post("nonsense")),
        "best": ("refine", note([0.5, 0.7, 0.6])),
        "not-evaluated": ("refine", note([ReplyStatus.REFUSED])),
    }


async def record(
    client: Client, name: str, fakes: ScriptedActivities, request: Any = REQUEST, kind: str = "chain"
) -> None:
    """Runs a script to its end and writes the history, unless there is one: those that runs have had stay."""
    if is_recorded(f"{kind}-{name}"):
        return
    async with workers(client, fakes):
        handle = await client.start_workflow(kind, request, id=f"{kind}-{name}", task_queue=WORKFLOWS_QUEUE)
        with suppress(WorkflowFailureError):  # some scripts are meant to fail
            await handle.result()
        await write(client, f"{kind}-{name}", f"{kind}-{name}")


def is_recorded(name: str) -> bool:
    return (FOLDER / f"{name}.json").exists()


async def write(client: Client, run_id: str, name: str) -> None:
    history = await client.get_workflow_handle(run_id).fetch_history()
    text = json.dumps(without_the_machine(json.loads(history.to_json())), indent=2)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


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


async def record_batch(client: Client) -> None:
    """A batch of three groups; in the first a document is poison, one goes to a person, and one moves out."""
    if is_recorded("batch-mixed"):
        return
    replies: dict[str, list[Reply | Exception]] = {
        "2": [failing("ContextTooLong")],
        "3": [reply(ReplyStatus.REFUSED)],
        "4": [reply(_INVALID), failing("BudgetExhausted", 1.0, "tenant", 0), reply()],
    }
    fakes = BatchActivities(manifest(12), replies=replies)
    request = {"job": "invoice", "manifest": {"uri": "blob:1"}, "tenant": "acme", "group": 5, "at_once": 4}
    async with batch_workers(client, fakes):
        handle = await client.start_workflow("batch", request, id="batch-mixed", task_queue=WORKFLOWS_QUEUE)
        await handle.result()
        await client.get_workflow_handle("batch-mixed-4").result()
    await write(client, "batch-mixed", "batch-mixed")
    await write(client, "batch-mixed-rows-1", "batch_group-mixed")


async def record_approvals(client: Client) -> None:
    """A run whose answer is corrected by one of two, after another attempt; the last approval, and a notice of it."""
    if is_recorded("approval-corrected"):
        return
    fakes = ScriptedActivities(replies=[reply(), reply()], approval=Approval())
    people = ScriptedPeople(assessments=[Assessment(risk=Risk.HIGH, reasons=("large",))], has_channels=True)
    run_id = "chain-approved"
    async with workers(client, fakes, people):
        handle = await client.start_workflow("chain", REQUEST, id=run_id, task_queue=WORKFLOWS_QUEUE)
        await until(lambda: EventKind.OPENED in people.events)
        shown = (await state_of(client, run_id)).shown
        await decide(client, run_id, act(ActKind.FEEDBACK, "ann", shown, note=blob("look-again")))
        await until(lambda: people.events.count(EventKind.OPENED) == 2)
        shown = (await state_of(client, run_id)).shown
        await decide(client, run_id, act(ActKind.CLAIM, "ann"))
        await decide(client, run_id, act(ActKind.APPROVE, "ann", shown))
        await approval_of(client, run_id).signal(DECIDE, act(ActKind.APPROVE, "mallory", shown))
        receipt = await decide(client, run_id, act(ActKind.CORRECT, "bob", shown, value=value()))
        await decide(client, run_id, act(ActKind.APPROVE, "ann", receipt.shown))
        await handle.result()
        await until(lambda: EventKind.CLOSED in [notice.kind for notice in people.notices])
        await write(client, run_id, "chain-approved")
        await write(client, f"{run_id}-approval", "approval-corrected")
        notice = people.notices[0]
        name = f"{notice.approval_id}-{notice.kind.value}-{notice.state.revision}"
        await client.get_workflow_handle(name).result()
        await write(client, name, "notice-sent")


async def record_open_approval(client: Client) -> None:
    """A run, and its approval, that still wait for people."""
    if is_recorded("approval-waiting"):
        return
    people = ScriptedPeople()
    async with workers(client, ScriptedActivities(approval=Approval()), people):
        handle = await client.start_workflow("chain", REQUEST, id="chain-waiting", task_queue=WORKFLOWS_QUEUE)
        await until(lambda: EventKind.OPENED in people.events)
        await write(client, "chain-waiting", "chain-waiting-for-people")
        await write(client, "chain-waiting-approval", "approval-waiting")
        await handle.terminate()


async def record_parked(client: Client) -> None:
    """Runs that still wait: for a circuit that a refused key has opened, and for a budget that somebody must raise."""
    waiting = {
        "waiting-for-a-circuit": must_wait("CircuitOpen", 3600, "AuthenticationFailed"),
        "waiting-for-a-budget": must_wait("BudgetExhausted", None),
    }
    for name, refusal in waiting.items():
        if is_recorded(f"chain-{name}"):
            continue
        async with workers(client, ScriptedActivities(replies=[refusal])):
            handle = await client.start_workflow("chain", REQUEST, id=f"chain-{name}", task_queue=WORKFLOWS_QUEUE)
            await until_parked(handle)
            await write(client, f"chain-{name}", f"chain-{name}")
            await handle.terminate()


async def record_continued_approval(client: Client) -> None:
    """An approval that has gone on as new, with one of two decisions counted, and ends."""
    if is_recorded("approval-continued"):
        return
    people = ScriptedPeople(assessments=[Assessment(risk=Risk.HIGH, reasons=("large",))])
    run_id = "chain-continued"
    async with workers(client, ScriptedActivities(approval=Approval()), people):
        waiting = await client.start_workflow("chain", REQUEST, id=run_id, task_queue=WORKFLOWS_QUEUE)
        await until(lambda: EventKind.OPENED in people.events)
        shown = (await state_of(client, run_id)).shown
        await decide(client, run_id, act(ActKind.APPROVE, "ann", shown))
        request = people.notes[-1].request.model_copy(update={"state": await state_of(client, run_id)})
        await waiting.terminate()
        approval = await client.start_workflow(
            APPROVAL, request, id="continued-approval", task_queue=WORKFLOWS_QUEUE, result_type=ApprovalResult
        )
        await decide(client, "continued", act(ActKind.APPROVE, "bob", shown))
        await approval.result()
        await write(client, "continued-approval", "approval-continued")


async def main() -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(BIN / "temporal"), data_converter=pydantic_data_converter
    ) as environment:
        await add_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        client = environment.client
        for name, fakes in chains().items():
            await record(client, name, fakes)
        await record(client, "wrong-input", ScriptedActivities(), request={"job": 5})
        await record(client, "plain-text", ScriptedActivities(stores_here=True), request=PLAIN)
        for name, (kind, fakes) in others().items():
            await record(client, name, fakes, kind=kind)
        await record_batch(client)
        await record_approvals(client)
        await record_open_approval(client)
        await record_continued_approval(client)
        await record_parked(client)
        # Of the segments the last, which has two chunks; recorded with the run that it is a part of.
        if not is_recorded("map_segment-two-chunks"):
            await write(client, f"map_reduce-segments-chunks-{SEGMENT_CHUNKS + 1}", "map_segment-two-chunks")


if __name__ == "__main__":
    run(main())
