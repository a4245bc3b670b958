"""Erasing a tenant, over a real Temporal server, a real Redis, blobs and rows."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleSpec
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment

from activities.approvals.audit import AuditLog
from activities.encryption.codec import data_converter
from activities.encryption.keys import TenantKeys
from activities.encryption.sealing import Sealer
from activities.guards.completions import Completions, Granted, completion_key
from activities.storage import BlobStore, ResultStore
from activities.storage.database import Database
from engross.contracts import Outcome, RunResult, StoreRequest
from engross.errors import InvalidRequest, ServiceUnavailable, TenantErased
from engross.names import WORKFLOWS_QUEUE
from starters.erase import BEGUN, ENDED, Eraser, Manner
from starters.erase_runs import Histories, TenantRuns
from starters.erase_stores import TenantBlobs, TenantCompletions, TenantRows
from tests.starters.conftest import start_server
from tests.valkey import Valkey, make_client
from workflows.attributes import JOB, TENANT

SECRET = b"a secret of this installation"
AT_ONCE = Manner(settle_seconds=0, actor="cli:tests")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server without workers: what is started stays open."""
    async with start_server() as environment:
        yield environment


@dataclass
class World:
    """Tenants with runs, blobs, kept replies and rows. `client` encrypts where there are keys."""

    keys: TenantKeys | None
    client: Client
    blobs: BlobStore
    completions: Completions
    results: ResultStore
    log: AuditLog
    eraser: Eraser
    told: list[str]

    async def fill(self, tenant: str, name: str) -> None:
        """A run with its search attribute, one without, a blob, a kept reply, an intent and a result."""
        attributes = TypedSearchAttributes([SearchAttributePair(JOB, "invoice"), SearchAttributePair(TENANT, tenant)])
        await self.start(tenant, f"{name}-marked", search_attributes=attributes)
        await self.start(tenant, f"{name}-unmarked")
        await self.schedule(tenant, f"{name}-schedule")
        await self.blobs.put(tenant, b"a document")
        for digest in ("kept", "in flight"):
            key = completion_key(tenant=tenant, job="invoice", parts=[digest])
            granted = await self.completions.begin(key, "somebody")
            assert isinstance(granted, Granted)
            if digest == "kept":
                await self.completions.finish(key, granted.token, b"a reply", ttl_seconds=600)
        result = RunResult(run_id=f"{name}-1", job="invoice", tenant=tenant, outcome=Outcome.DONE)
        started = datetime.now(UTC).isoformat()
        await self.results.put(StoreRequest(result=result, document_name="a.txt", started_at=started), b'{"a": 1}')
        async with asyncio.timeout(30):
            while not await self.is_listed(tenant, f"{name}-schedule"):  # noqa: ASYNC110 - lists have no event
                await asyncio.sleep(0.05)

    async def is_listed(self, tenant: str, schedule: str) -> bool:
        """Whether Temporal's lists, which are a moment behind, have the runs of `fill` and the schedule."""
        return await self.eraser.runs.open(tenant) >= 2 and await self.has_schedule(schedule)

    async def start(self, tenant: str, name: str, **more: Any) -> None:
        request = {"job": "invoice", "tenant": tenant}
        await self.client.start_workflow("chain", request, id=name, task_queue=WORKFLOWS_QUEUE, **more)

    async def schedule(self, tenant: str, name: str) -> None:
        """One that would start a run in a year."""
        request = {"job": "invoice", "tenant": tenant}
        action = ScheduleActionStartWorkflow("chain", request, id=f"{name}-run", task_queue=WORKFLOWS_QUEUE)
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=365))])
        await self.client.create_schedule(name, Schedule(action=action, spec=spec))

    async def has_schedule(self, name: str) -> bool:
        return name in {listed.id async for listed in await self.client.list_schedules()}

    async def counts(self, tenant: str) -> dict[str, int]:
        """What is there of a tenant."""
        found = {"open runs": await self.eraser.runs.open(tenant)}
        for store in self.eraser.stores:
            found |= await store.count(tenant)
        return {name: count for name, count in found.items() if count}

    async def acts(self, tenant: str) -> list[tuple[str, str]]:
        return [(line.action, line.actor) async for line in self.log.export(tenant)]


async def open_world(
    stack: AsyncExitStack, server: WorkflowEnvironment, folder: Path, valkey: Valkey, *, encrypts: bool
) -> World:
    url = f"sqlite+aiosqlite:///{folder / 'results.db'}"
    database, client = Database.open(url), make_client(valkey.url)
    stack.push_async_callback(database.close)
    stack.push_async_callback(client.aclose)
    await client.flushall()
    keys = TenantKeys({"first": secrets.token_bytes(32)}, url) if encrypts else None
    sealer = Sealer(keys) if keys else None
    blobs = BlobStore.open((folder / "blobs").as_uri(), sealer=sealer)
    address = server.client.service_client.config.target_host
    connected = await Client.connect(address, data_converter=data_converter(keys))
    results, log, rows, told = ResultStore(database), AuditLog(database, SECRET), TenantRows(database), list[str]()
    await log.start()
    await rows.start()
    eraser = Eraser(
        keys=keys,
        runs=TenantRuns(connected),
        stores=(TenantBlobs(blobs), TenantCompletions(client), rows),
        log=log,
        tell=told.append,
    )
    completions = Completions(client, secret=SECRET, sealer=sealer)
    return World(keys, connected, blobs, completions, results, log, eraser, told)


@pytest_asyncio.fixture(loop_scope="module")
async def world(temporal: WorkflowEnvironment, tmp_path: Path, valkey: Valkey) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await open_world(stack, temporal, tmp_path, valkey, encrypts=True)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_everything_of_a_tenant_goes_and_nothing_of_another(world: World) -> None:
    for tenant in ("acme", "acme-2"):  # one name begins the other
        await world.fill(tenant, f"all-{tenant}")
    there = {"open runs": 2, "blobs": 1, "kept replies": 2, "results": 1}
    assert await world.counts("acme") == there
    erased = await world.eraser.erase("acme", AT_ONCE)
    assert erased.is_complete
    assert (erased.keys, erased.terminated, erased.deleted_histories) == (1, 2, 0)
    assert {name: count for name, count in erased.deleted.items() if count} == {
        "schedules": 1,
        "blobs": 1,
        "kept replies": 2,
        "results": 1,
    }
    assert erased.histories == Histories(kept=2, clear=0)
    assert await world.counts("acme") == {}
    assert await world.counts("acme-2") == there
    assert await world.has_schedule("all-acme-2-schedule")
    assert await world.acts("acme") == [(BEGUN, "cli:tests"), (ENDED, "cli:tests")]
    assert await world.log.verify() == []
    with pytest.raises(TenantErased):
        await world.blobs.put("acme", b"again")
    with pytest.raises(TenantErased):
        await world.start("acme", "all-again")


async def test_a_crash_in_the_middle_is_made_good_by_a_repeat(world: World) -> None:
    await world.fill("initech", "crash")

    class Dead:
        async def count(self, tenant: str) -> dict[str, int]:
            raise ServiceUnavailable("the store is away")

        delete = count

    blobs, *others = world.eraser.stores
    with pytest.raises(ServiceUnavailable):
        await replace(world.eraser, stores=(blobs, Dead(), *others)).erase("initech", AT_ONCE)
    left = await world.counts("initech")
    assert left == {"kept replies": 2, "results": 1}
    with pytest.raises(TenantErased):  # the keys were the first to go
        await world.blobs.put("initech", b"again")
    again = await world.eraser.erase("initech", AT_ONCE)
    assert (again.is_complete, again.keys, again.terminated) == (True, 0, 0)
    assert await world.counts("initech") == {}


async def test_histories_are_deleted_when_that_is_wanted(world: World) -> None:
    await world.fill("hooli", "histories")
    erased = await world.eraser.erase("hooli", replace(AT_ONCE, histories=True))
    assert (erased.is_complete, erased.deleted_histories, erased.histories) == (True, 2, Histories())


async def test_histories_from_before_encryption_are_told_of_until_they_are_deleted(
    world: World, temporal: WorkflowEnvironment
) -> None:
    request = {"job": "invoice", "tenant": "umbrella"}
    await temporal.client.start_workflow("chain", request, id="before", task_queue=WORKFLOWS_QUEUE)
    await world.fill("umbrella", "after")
    erased = await world.eraser.erase("umbrella", AT_ONCE)
    assert (erased.is_complete, erased.histories) == (False, Histories(kept=3, clear=1))
    assert (await world.eraser.erase("umbrella", replace(AT_ONCE, histories=True))).is_complete


async def test_what_comes_while_workers_remember_the_keys_is_swept_as_well(world: World) -> None:
    await world.fill("globex", "late")
    erasing = asyncio.create_task(world.eraser.erase("globex", replace(AT_ONCE, settle_seconds=1)))
    async with asyncio.timeout(30):
        while not any("waiting" in line for line in world.told):  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(0.01)
    result = RunResult(run_id="late-2", job="invoice", tenant="globex", outcome=Outcome.DONE)
    late = StoreRequest(result=result, document_name="b.txt", started_at=datetime.now(UTC).isoformat())
    await world.results.put(late, b"{}")
    erased = await erasing
    assert (erased.is_complete, erased.deleted["results"]) == (True, 2)


async def test_without_encryption_the_histories_have_to_go(
    temporal: WorkflowEnvironment, tmp_path: Path, valkey: Valkey
) -> None:
    async with AsyncExitStack() as stack:
        world = await open_world(stack, temporal, tmp_path, valkey, encrypts=False)
        await world.fill("clear", "clear")
        with pytest.raises(InvalidRequest, match="--histories"):
            await world.eraser.erase("clear", AT_ONCE)
        assert await world.acts("clear") == []
        erased = await world.eraser.erase("clear", replace(AT_ONCE, histories=True))
        assert (erased.is_complete, erased.is_encrypted, erased.deleted_histories) == (True, False, 2)


async def test_only_a_tenant_can_be_erased(world: World) -> None:
    for name in ("_installation", "*", "../acme", ""):
        with pytest.raises(InvalidRequest):
            await world.eraser.erase(name, AT_ONCE)
