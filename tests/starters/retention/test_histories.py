"""What open workflows need, on a real server: wherever in a history a hash stands, encrypted or not."""

import asyncio
import base64
import hashlib
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.common import RetryPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.encryption.codec import data_converter
from activities.encryption.keys import TenantKeys
from engross.errors import ConfigurationError, KeyUnavailable, ServiceUnavailable
from engross.names import WORKFLOWS_QUEUE
from starters.retention.histories import OpenWorkflows
from starters.retention.marking import Marks

pytestmark = pytest.mark.asyncio(loop_scope="module")


def told(_what: str, _count: int) -> None:
    """Nobody listens."""


def hash_of(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()


async def until(what: Callable[[], Awaitable[object]]) -> None:
    """Waits for `what` to be true."""
    async with asyncio.timeout(30):
        while not await what():  # noqa: ASYNC110  # no event comes from the server
            await asyncio.sleep(0.05)


@activity.defn
async def beat(which: str) -> None:
    activity.heartbeat({"kept": hash_of(which)})
    await asyncio.sleep(60)


@activity.defn
async def give(which: str) -> dict[str, str]:
    return {"sha256": hash_of(which)}


@activity.defn
async def fail(which: str) -> None:
    raise ApplicationError("failed", {"sha256": hash_of(which)}, type="Failed")


@workflow.defn(name="holder")
class Holder:
    """Holds on to hashes in every way that a history knows: of what `request` says, so that each is in one place."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.run
    async def run(self, request: dict[str, str]) -> str:
        if "next" in request:
            workflow.continue_as_new({"tenant": "acme", "input": hash_of(request["next"])})
        minute, once = timedelta(minutes=1), RetryPolicy(maximum_attempts=1)
        if "child" in request:
            child = {"tenant": "acme", "input": hash_of(request["child"])}
            await workflow.start_child_workflow("holder", child, id=f"{workflow.info().workflow_id}-child")
        if "result" in request:
            await workflow.execute_activity(give, request["result"], start_to_close_timeout=minute)
        if "failure" in request:
            try:
                await workflow.execute_activity(
                    fail, request["failure"], start_to_close_timeout=minute, retry_policy=once
                )
            except Exception:  # noqa: BLE001  # its failure is in the history, which is what is wanted
                self._told.append("failed")
        if "memo" in request:
            workflow.upsert_memo({"kept": hash_of(request["memo"])})
        if "beat" in request:
            workflow.start_activity(
                beat, request["beat"], start_to_close_timeout=minute, heartbeat_timeout=minute, retry_policy=once
            )
        self._told.append("ready")
        await workflow.wait_condition(lambda: False)
        return ""

    @workflow.signal
    def hear(self, _what: str) -> None:
        self._told.append("heard")

    @workflow.update
    async def change(self, _what: str) -> str:
        return "changed"

    @workflow.query
    def told(self) -> list[str]:
        return self._told


@dataclass(frozen=True)
class Desk:
    """A client, with a worker behind it."""

    client: Client

    async def start(self, **request: str) -> str:
        """The id of a workflow that has done all that it was asked to and goes on."""
        workflow_id = f"holder-{uuid.uuid4().hex[:8]}"
        handle = await self.client.start_workflow(
            "holder", {"tenant": "acme", **request}, id=workflow_id, task_queue=WORKFLOWS_QUEUE
        )
        if "next" in request:
            return workflow_id

        async def is_ready() -> bool:
            return "ready" in await handle.query(Holder.told)

        await until(is_ready)
        return workflow_id

    async def needed(self, *hashes: str, since: datetime | None = None, among: Sequence[str] = ()) -> set[str]:
        """Which of the blobs with these hashes open workflows need, once the list has all of `among`."""
        async with asyncio.timeout(30):
            while True:
                marks = Marks()
                for each in hashes:
                    marks.add("acme", each)
                if set(among) <= await OpenWorkflows(self.client).mark(marks, told, since):
                    return {each for each in hashes if marks.is_needed(each)}
                await asyncio.sleep(0.05)


@asynccontextmanager
async def desk_of(server: WorkflowEnvironment, converter: DataConverter) -> AsyncIterator[Desk]:
    client = await Client.connect(server.client.service_client.config.target_host, data_converter=converter)
    async with Worker(
        client,
        task_queue=WORKFLOWS_QUEUE,
        workflows=[Holder],
        activities=[beat, give, fail],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield Desk(client)
        async for run in client.list_workflows("ExecutionStatus = 'Running'"):
            await client.get_workflow_handle(run.id).terminate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(temporal_binary: str) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as environment:
        yield environment


@pytest.fixture
def keys(tmp_path: Path) -> TenantKeys:
    return TenantKeys({"k1": secrets.token_bytes(32)}, f"sqlite+aiosqlite:///{tmp_path / 'results.db'}")


@pytest_asyncio.fixture(loop_scope="module")
async def desk(environment: WorkflowEnvironment) -> AsyncIterator[Desk]:
    async with desk_of(environment, pydantic_data_converter) as desk:
        yield desk


@pytest.mark.parametrize("encrypted", [False, True])
async def test_every_place_in_a_history_counts(
    environment: WorkflowEnvironment, keys: TenantKeys, encrypted: bool
) -> None:
    seeds = {name: f"{name} {encrypted}" for name in ("child", "result", "failure", "memo", "beat")}
    hashes = {name: hash_of(f"{name} {encrypted}") for name in (*seeds, "input", "signal", "update")}
    async with desk_of(environment, data_converter(keys if encrypted else None, in_worker=True)) as desk:
        held = await desk.start(input=hashes["input"], **seeds)
        handle = desk.client.get_workflow_handle(held)
        await handle.signal(Holder.hear, hashes["signal"])
        await handle.execute_update(Holder.change, hashes["update"])
        # A heartbeat reaches the server in its own time.
        await until(lambda: desk.needed(hashes["beat"], among=[held, f"{held}-child"]))
        assert await desk.needed(*hashes.values(), hash_of("other")) == set(hashes.values())


async def test_of_a_chain_the_newest_run_counts(desk: Desk) -> None:
    first = await desk.start(next="newest")
    await until(lambda: desk.needed(hash_of("newest"), among=[first]))


async def test_what_has_ended_needs_nothing(desk: Desk) -> None:
    held = await desk.start(result="ended")
    assert await desk.needed(hash_of("ended"), among=[held])
    await desk.client.get_workflow_handle(held).terminate()

    async def is_unneeded() -> bool:
        return not await desk.needed(hash_of("ended"))

    await until(is_unneeded)


async def test_only_what_has_started_since(desk: Desk) -> None:
    held = await desk.start(result="since")
    now = datetime.now(UTC)
    assert await desk.needed(hash_of("since"), since=now, among=[held]), "clocks differ by a minute or two"
    assert not await desk.needed(hash_of("since"), since=now + timedelta(hours=1))


async def test_workflows_of_other_applications_are_none_of_our_business(desk: Desk) -> None:
    await desk.client.start_workflow("theirs", hash_of("theirs"), id="theirs", task_queue="theirs")
    ours = await desk.start()
    assert not await desk.needed(hash_of("theirs"), among=[ours])


class _Foreign(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/theirs"}, data=base64.b64encode(each.SerializeToString()))
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(base64.b64decode(each.data)) for each in payloads]


async def test_a_history_that_does_not_decode_stops_it_and_is_named(
    environment: WorkflowEnvironment, desk: Desk
) -> None:
    converter = DataConverter(payload_codec=_Foreign())
    theirs = await Client.connect(environment.client.service_client.config.target_host, data_converter=converter)
    handle = await theirs.start_workflow("holder", "x", id="locked", task_queue=WORKFLOWS_QUEUE)
    with pytest.raises(ConfigurationError, match="locked does not decode"):
        await desk.needed(hash_of("x"), among=["locked"])
    await handle.terminate()


async def test_without_the_keys_nobody_knows(
    environment: WorkflowEnvironment, keys: TenantKeys, tmp_path: Path
) -> None:
    async with desk_of(environment, data_converter(keys, in_worker=True)) as desk:
        held = await desk.start(result="locked")
        assert await desk.needed(hash_of("locked"), among=[held])

        with pytest.raises(ConfigurationError, match="ENGROSS_ENCRYPTION_KEYS"):
            await Desk(environment.client).needed(among=[held])
        other = TenantKeys({"k2": secrets.token_bytes(32)}, f"sqlite+aiosqlite:///{tmp_path / 'results.db'}")
        address = environment.client.service_client.config.target_host
        wrong = await Client.connect(address, data_converter=data_converter(other))
        with pytest.raises(KeyUnavailable):
            await Desk(wrong).needed(among=[held])


async def test_what_an_erased_tenant_had_is_needed_by_nobody(
    environment: WorkflowEnvironment, keys: TenantKeys
) -> None:
    async with desk_of(environment, data_converter(keys, in_worker=True)) as desk:
        held = await desk.start(result="erased")
        assert await desk.needed(hash_of("erased"), among=[held])
        await keys.destroy("acme")
        assert not await desk.needed(hash_of("erased"), among=[held])


async def test_what_a_schedule_will_start_counts(environment: WorkflowEnvironment) -> None:
    client = environment.client

    async def scheduled(name: str, queue: str) -> str:
        action = ScheduleActionStartWorkflow("chain", {"uri": f"blob:{hash_of(name)}"}, id=name, task_queue=queue)
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=30))])
        await client.create_schedule(name, Schedule(action=action, spec=spec, state=ScheduleState(paused=True)))
        return hash_of(name)

    hashes = [await scheduled("ours", WORKFLOWS_QUEUE), await scheduled("not-ours", "theirs")]
    needed: list[Any] = []
    async with asyncio.timeout(30):
        while not needed:
            marks = Marks()
            for each in hashes:
                marks.add("acme", each)
            await OpenWorkflows(client).mark_schedules(marks)
            needed = [each for each in hashes if marks.is_needed(each)]
    assert needed == hashes[:1]


async def test_a_server_that_is_gone_stops_it(temporal_binary: str) -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as environment:
        client = await Client.connect(environment.client.service_client.config.target_host)
    with pytest.raises(ServiceUnavailable):
        await OpenWorkflows(client).mark(Marks(), told)
