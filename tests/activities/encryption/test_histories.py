"""Everything that a real server keeps of a workflow is encrypted under the tenant's key, and still replays."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker, WorkflowReplayResult

from activities.encryption.codec import data_converter, tenant_of
from activities.encryption.keys import TenantKeys
from tests.activities.encryption.talkative import CANARY, Child, Everything, fail, work
from tests.workflows.harness import until

QUEUE: Final = "encryption"


def replayer(keys: TenantKeys | None) -> Replayer:
    return Replayer(workflows=[Everything, Child], data_converter=data_converter(keys, in_worker=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(temporal_binary: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkflowEnvironment]:
    """A real server, its database on the disk, so that it can be searched."""
    database = tmp_path_factory.mktemp("temporal") / "temporal.db"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary, dev_server_database_filename=str(database)
    ) as environment:
        yield environment


def client_of(server: WorkflowEnvironment, keys: TenantKeys | None, *, in_worker: bool = False) -> Client:
    config = server.client.config()
    config["data_converter"] = data_converter(keys, in_worker=in_worker)
    return Client(**config)


async def start(client: Client, run_id: str) -> WorkflowHandle[Everything, str]:
    return await client.start_workflow(
        Everything.run,
        {"tenant": "acme", "text": CANARY, "round": 1},
        id=run_id,
        task_queue=QUEUE,
        memo={"started": f"memo {CANARY}"},
        static_summary=f"summary {CANARY}",
        static_details=f"details {CANARY}",
    )


async def lived(server: WorkflowEnvironment, keys: TenantKeys | None, run_id: str) -> list[WorkflowHistory]:
    """Does it all, clients and workers in processes that know nothing of each other, and gives the histories."""
    workers, client = client_of(server, keys, in_worker=True), client_of(server, keys)
    async with Worker(workers, task_queue=QUEUE, workflows=[Everything, Child], activities=[work, fail]):
        first = await start(client, run_id)
        handle = client.get_workflow_handle(run_id)
        await until_second_round(first, handle)
        await tell(handle)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.message == f"ended {CANARY}"
        assert caught.value.cause.details == (f"detail {CANARY}",)
        described = await handle.describe()
        assert (await described.memo())["again"] == f"memo {CANARY}"
    ids = [
        (run_id, first.result_run_id),
        (run_id, None),
        (f"{run_id}-child", None),
    ]
    return [await client.get_workflow_handle(each, run_id=run).fetch_history() for each, run in ids]


async def until_second_round(first: WorkflowHandle[Everything, str], handle: WorkflowHandle[Everything, str]) -> None:
    async def is_so() -> bool:
        return (await handle.describe()).run_id != first.result_run_id

    await until(is_so)


async def tell(handle: WorkflowHandle[Everything, str]) -> None:
    assert await handle.query(Everything.heard, CANARY) == [CANARY]
    assert await handle.execute_update(Everything.add, CANARY) == f"added {CANARY}"
    with pytest.raises(Exception, match="Workflow update failed"):
        await handle.execute_update(Everything.add, "")
    await handle.signal(Everything.told, CANARY)


def payloads_in(message: Message) -> Iterator[Payload]:
    """All payloads anywhere in `message` but those of search attributes, which the server must read."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.name in ("search_attributes", "indexed_fields") or field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [each for each in value.values() if isinstance(each, Message)]
        else:
            values = list(value) if field.is_repeated else [value]
        for each in values:
            yield from payloads_in(each)


def failures_in(message: Message) -> Iterator[Failure]:
    if isinstance(message, Failure):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in list(value) if field.is_repeated else [value]:
                yield from failures_in(each)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_payload_is_under_the_key_of_the_tenant(server: WorkflowEnvironment, keys: TenantKeys) -> None:
    histories = await lived(server, keys, "sealed")

    names: set[str] = set()
    for history in histories:
        for event in history.events:
            found = list(payloads_in(event))
            names |= {event.WhichOneof("attributes") or ""} if found else set()
            assert {tenant_of(each) for each in found if not _is_of_core(each)} <= {"acme"}, event
            for failure in failures_in(event):
                assert CANARY not in failure.message
                assert failure.stack_trace == ""
    assert names >= {
        f"{name}_event_attributes"
        for name in (
            "workflow_execution_started",
            "workflow_execution_signaled",
            "workflow_execution_update_accepted",
            "workflow_execution_update_completed",
            "workflow_execution_continued_as_new",
            "workflow_execution_failed",
            "workflow_properties_modified",
            "activity_task_scheduled",
            "activity_task_completed",
            "activity_task_failed",
            "start_child_workflow_execution_initiated",
            "child_workflow_execution_failed",
            "signal_external_workflow_execution_initiated",
            "marker_recorded",
            "timer_started",
        )
    }
    assert all(CANARY.encode() not in event.SerializeToString() for each in histories for event in each.events)


def _is_of_core(payload: Payload) -> bool:
    """Core writes what a local activity was beside its result, in clear: id, type, attempt and times."""
    if payload.metadata.get("encoding") != b"json/plain":
        return False
    told = json.loads(payload.data)
    return isinstance(told, dict) and {"activity_id", "activity_type", "attempt"} <= told.keys()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_database_of_the_server_has_none_of_it_in_clear(
    server: WorkflowEnvironment, keys: TenantKeys, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def found() -> int:
        files = tmp_path_factory.getbasetemp().glob("temporal*/*")
        return sum(file.read_bytes().count(CANARY.encode()) for file in files)

    await lived(server, keys, "searched")
    assert found() == 0
    await lived(server, None, "clear")  # so that the search is known to find
    assert found() > 10


@pytest.mark.asyncio(loop_scope="module")
async def test_encrypted_histories_replay_with_the_keys_only(server: WorkflowEnvironment, keys: TenantKeys) -> None:
    for history in await lived(server, keys, "replayed"):
        await replayer(keys).replay_workflow(history)
        broken: WorkflowReplayResult = await replayer(None).replay_workflow(history, raise_on_replay_failure=False)
        assert broken.replay_failure is not None


@pytest.mark.asyncio(loop_scope="module")
async def test_histories_in_clear_still_replay(server: WorkflowEnvironment, keys: TenantKeys) -> None:
    for history in await lived(server, None, "from-before"):
        await replayer(keys).replay_workflow(history)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_run_that_began_in_clear_goes_on_encrypted(server: WorkflowEnvironment, keys: TenantKeys) -> None:
    clear = client_of(server, None)
    async with Worker(clear, task_queue=QUEUE, workflows=[Everything, Child], activities=[work, fail]):
        first = await start(clear, "mixed")
        await until_second_round(first, clear.get_workflow_handle("mixed"))
    before = await clear.get_workflow_handle("mixed").fetch_history()
    workers, client = client_of(server, keys, in_worker=True), client_of(server, keys)
    async with Worker(workers, task_queue=QUEUE, workflows=[Everything, Child], activities=[work, fail]):
        handle = client.get_workflow_handle("mixed")
        await tell(handle)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    after = (await client.get_workflow_handle("mixed").fetch_history()).events[len(before.events) :]
    assert {tenant_of(each) for event in after for each in payloads_in(event)} >= {"acme"}
    await replayer(keys).replay_workflow(await client.get_workflow_handle("mixed").fetch_history())
