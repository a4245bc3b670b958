"""Whoever waits for a run hears that it is parked: at once, and cheaply."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import temporalio.client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from engross.contracts import Outcome
from engross.errors import InvalidRequest
from engross.names import WORKFLOWS_QUEUE
from starters.client import Client
from starters.parked import ParkedWatch
from starters.reports import Submitted
from tests.starters.conftest import PARKING

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def submit(client: Client, folder: Path, name: str, tenant: str = "acme") -> Submitted:
    """A run over bytes that no other test has."""
    path = folder / name
    path.write_bytes(os.fsencode(path))
    return await client.submit("invoice", path, tenant=tenant)


async def until(what: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110  # another process: there is no event to wait for
            await asyncio.sleep(0.02)


class Watched(temporalio.client.Interceptor):
    """Counts the questions; `change` may alter a filter, or raise."""

    def __init__(self, change: Callable[[str], str] = str) -> None:
        self.lists = self.describes = 0
        self.change = change

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _Outbound(next, self)

    def over(self, client: temporalio.client.Client) -> ParkedWatch:
        """A watch whose questions pass by here."""
        config = client.config()
        config["interceptors"] = [self]
        return ParkedWatch(temporalio.client.Client(**config), "the server")


class _Outbound(temporalio.client.OutboundInterceptor):
    def __init__(self, following: temporalio.client.OutboundInterceptor, watched: Watched) -> None:
        super().__init__(following)
        self._watched = watched

    def list_workflows(self, input: Any) -> Any:  # noqa: A002 - the SDK's name
        self._watched.lists += 1
        input.query = self._watched.change(input.query)
        return super().list_workflows(input)

    async def describe_workflow(self, input: Any) -> Any:  # noqa: A002 - the SDK's name
        self._watched.describes += 1
        return await super().describe_workflow(input)


async def test_a_parked_run_is_reported_with_what_to_do(client: Client, tmp_path: Path) -> None:
    run = await submit(client, tmp_path, "locked.txt")
    tasks = asyncio.all_tasks()

    report = await client.wait(run.run_id)

    assert (report.outcome, report.error) == (Outcome.PARKED, PARKING["locked"])
    assert (report.run_id, report.job, report.tenant) == (run.run_id, "invoice", "acme")
    assert asyncio.all_tasks() <= tasks, "nobody looks when nobody waits"
    again = await client.submit("invoice", tmp_path / "locked.txt", tenant="acme")
    assert again.joined
    assert (await client.wait(again.run_id)).outcome is Outcome.PARKED
    await client.cancel(run.run_id)


async def test_one_can_wait_through_it(client: Client, tmp_path: Path) -> None:
    run = await submit(client, tmp_path, "locked.txt")
    waiting = asyncio.create_task(client.wait(run.run_id, parked=False))
    assert (await client.wait(run.run_id)).outcome is Outcome.PARKED

    assert not waiting.done()
    assert await client.resume(run.run_id)
    assert (await waiting).outcome is Outcome.DONE
    assert (await client.wait(run.run_id)).outcome is Outcome.DONE
    assert not await client.resume(run.run_id), "it has ended"


async def test_whoever_stops_waiting_leaves_the_others_be(client: Client, tmp_path: Path) -> None:
    hanging, parking = await submit(client, tmp_path, "hangs.txt"), await submit(client, tmp_path, "locked.txt")
    given_up = asyncio.create_task(client.wait(hanging.run_id))
    others = [asyncio.create_task(client.wait(parking.run_id)) for _ in range(2)]
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert [report.outcome for report in await asyncio.gather(*others)] == [Outcome.PARKED] * 2
    for run in (hanging, parking):
        await client.cancel(run.run_id)


async def test_all_who_wait_share_one_question_a_second(server: WorkflowEnvironment) -> None:
    watched = Watched()
    watch = watched.over(server.client)
    began = time.monotonic()
    waiting = [asyncio.create_task(watch.wait(f"nobody-{number}")) for number in range(60)]

    async def asked_thrice() -> bool:
        return watched.lists >= 3

    await until(asked_thrice)
    assert watched.lists <= time.monotonic() - began
    assert watched.describes == 0
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module")
async def hanging(server: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[str]:
    """A run that is not parked."""
    request = {"job": "invoice", "document": {"uri": "blob:1", "name": "hangs"}}
    run_id = f"hanging-{os.getpid()}-{tmp_path.name}"
    handle = await server.client.start_workflow("chain", request, id=run_id, task_queue=WORKFLOWS_QUEUE)
    yield run_id
    await handle.terminate()


@pytest.mark.usefixtures("settings")
async def test_a_list_that_is_late_is_not_believed(server: WorkflowEnvironment, hanging: str) -> None:
    watched = Watched(lambda query: query.partition(" AND ")[2])
    waiting = asyncio.create_task(watched.over(server.client).wait(hanging))

    async def looked_twice() -> bool:
        return watched.describes >= 2

    await until(looked_twice)
    assert not waiting.done()
    waiting.cancel()


async def test_a_server_that_is_away_for_a_moment_ends_no_waiting(
    client: Client, server: WorkflowEnvironment, tmp_path: Path
) -> None:
    away = [RPCError("gone", RPCStatusCode.UNAVAILABLE, b"")] * 2

    def change(query: str) -> str:
        if away:
            raise away.pop()
        return query

    run = await submit(client, tmp_path, "locked.txt")
    assert (await Watched(change).over(server.client).wait(run.run_id)).outcome is Outcome.PARKED
    assert not away
    await client.cancel(run.run_id)


async def test_a_question_that_is_refused_is_an_error_for_all_who_wait(server: WorkflowEnvironment) -> None:
    watch = Watched(lambda _: "no filter at all").over(server.client)
    waiting = [asyncio.create_task(watch.wait(f"nobody-{number}")) for number in range(3)]
    for failure in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(failure, InvalidRequest)


@pytest.mark.parametrize("run_id", ["it's \"one\" \\ = 'x' ü", "x' OR ''='"])
async def test_runs_by_hand_with_any_id_are_noticed(client: Client, server: WorkflowEnvironment, run_id: str) -> None:
    request = {"job": "invoice", "document": {"uri": "blob:1", "name": "locked"}}
    handle = await server.client.start_workflow("chain", request, id=run_id, task_queue=WORKFLOWS_QUEUE)
    assert (await client.wait(run_id)).outcome is Outcome.PARKED
    await handle.terminate()
