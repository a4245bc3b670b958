"""A worker that starts with keys tries at once what was given up: against a real Temporal server and a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import redis.asyncio
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment

from activities.guards.breaker import Breaker, Permit, State
from engross.contracts import ErrorInfo, RunResult
from engross.errors import InvalidRequest
from engross.names import DOCUMENTS_QUEUE, OUTCOME_ATTRIBUTE, PARKED_MEMO, WORKFLOWS_QUEUE, models_queue
from tests.starters.conftest import PARKING, fake_worker, start_server
from tests.valkey import Valkey, make_client
from workers import waking
from workers.waking import first_probe, parked_query, parked_reason, probe_now, wake_after_start, wake_parked

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENAI = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, models_queue("openai"))
Run = WorkflowHandle[object, RunResult]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with start_server() as environment, fake_worker(environment.client):
        yield environment


@pytest_asyncio.fixture(loop_scope="module")
async def store(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    valkey.start()
    async with make_client(valkey.url) as client:
        await client.flushall()
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def runs(server: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Run]]:
    """A parked run for each reason, by the name of its document; listed as such."""
    started: dict[str, Run] = {}
    for name in PARKING:
        document = {"job": "invoice", "document": {"uri": "blob:1", "name": name}}
        run_id = f"{request.node.name}-{name}"
        started[name] = await server.client.start_workflow(
            "chain", document, id=run_id, task_queue=WORKFLOWS_QUEUE, result_type=RunResult
        )
    async with asyncio.timeout(30):
        while len(await listed(server.client)) < len(PARKING):  # noqa: ASYNC110  # another process: there is no event to wait for
            await asyncio.sleep(0.02)
    yield started
    for run in started.values():
        if await parked(run):
            await run.terminate()
    async with asyncio.timeout(30):
        while await listed(server.client):  # noqa: ASYNC110  # another process: there is no event to wait for
            await asyncio.sleep(0.02)


async def listed(client: Client) -> list[str]:
    return [run.id async for run in client.list_workflows(parked_query())]


async def parked(run: Run) -> ErrorInfo | None:
    return await parked_reason(await run.describe())


async def open_circuit(store: redis.asyncio.Redis, provider: str, cause: str) -> None:
    permit = await Breaker(store).allow(provider)
    assert isinstance(permit, Permit)
    assert await Breaker(store).failure(provider, permit, at_once=True, cause=cause)


async def close_when_probed(store: redis.asyncio.Redis, provider: str) -> None:
    """What the first woken run's call does."""
    async with asyncio.timeout(30):
        while not isinstance(permit := await Breaker(store).allow(provider), Permit):  # noqa: ASYNC110  # no event comes from Redis
            await asyncio.sleep(0.02)
    await Breaker(store).success(provider, permit)


async def test_a_worker_with_the_key_wakes_what_waits_for_a_key(
    server: WorkflowEnvironment, store: redis.asyncio.Redis, runs: dict[str, Run]
) -> None:
    await open_circuit(store, "openai", "AuthenticationFailed")
    calling = asyncio.create_task(close_when_probed(store, "openai"))
    await wake_after_start(server.client, store, OPENAI)
    await calling
    assert (await runs["locked"].result()).outcome == "done"
    assert await parked(runs["spends"]) == PARKING["spends"], "a key helps no budget"


@pytest.mark.parametrize(
    ("provider", "cause"), [("anthropic", "AuthenticationFailed"), ("openai", "ProviderTimeout"), ("openai", None)]
)
async def test_what_this_worker_cannot_have_put_right_is_left_alone(
    server: WorkflowEnvironment, store: redis.asyncio.Redis, runs: dict[str, Run], provider: str, cause: str | None
) -> None:
    if cause:
        await open_circuit(store, provider, cause)
    await wake_after_start(server.client, store, OPENAI)
    assert (await Breaker(store).state(provider)).name == ("open" if cause else "closed")
    for name, run in runs.items():
        assert await parked(run) == PARKING[name]


async def test_trouble_is_logged_and_ends_nothing(
    server: WorkflowEnvironment, store: redis.asyncio.Redis, valkey: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    valkey.kill()
    await wake_after_start(server.client, store, OPENAI)
    assert "parked runs could not be woken" in capsys.readouterr().out


async def test_all_that_is_parked_is_woken_and_told_how_many(server: WorkflowEnvironment, runs: dict[str, Run]) -> None:
    firsts: list[int] = []

    async def after_first() -> None:
        async with asyncio.timeout(30):
            while len(await listed(server.client)) == len(runs):  # noqa: ASYNC110  # another process: there is no event to wait for
                await asyncio.sleep(0.02)
        firsts.append(sum([await parked(run) is None for run in runs.values()]))

    assert await wake_parked(server.client, after_first=after_first) == len(runs)
    assert firsts == [1], "the others wait for the first"
    for run in runs.values():
        assert (await run.result()).outcome == "done"


async def test_a_run_that_ended_meanwhile_is_not_counted(server: WorkflowEnvironment, runs: dict[str, Run]) -> None:
    async def end_the_rest() -> None:
        async with asyncio.timeout(30):
            # The first one doesn't go on at once.
            while all([await parked(run) for run in runs.values()]):  # noqa: ASYNC110  # another process: there is no event to wait for
                await asyncio.sleep(0.02)
        for run in runs.values():
            if await parked(run):
                await run.terminate()

    woken = await wake_parked(server.client, after_first=end_the_rest)
    assert woken == 1


async def test_a_run_by_hand_can_say_anything(server: WorkflowEnvironment) -> None:
    shown = SearchAttributePair(SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE), "parked")
    run = await server.client.start_workflow(
        "chain", id="odd", task_queue="nobody", memo={PARKED_MEMO: 7}, search_attributes=TypedSearchAttributes([shown])
    )
    reason = await parked(run)
    assert reason is not None
    assert reason.type == "Unexpected"
    await run.terminate()
    assert await parked(run) is None, "it has ended"


async def test_a_tenant_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        parked_query("' OR ''='")


async def test_open_circuits_are_tried_by_cause(store: redis.asyncio.Redis) -> None:
    await open_circuit(store, "openai", "QuotaExhausted")
    await open_circuit(store, "local", "ProviderTimeout")
    breaker = Breaker(store)
    assert await probe_now(breaker, ("openai", "anthropic", "local"), waking.ACCESS_TROUBLE) == ("openai",)
    assert (await breaker.state("local")).name == "open"
    assert await probe_now(breaker, ("openai", "anthropic", "local")) == ("openai", "local")
    assert (await breaker.state("local")).name == "half_open"


class Told:
    """Circuits that say this; the last of it for ever."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def state(self, provider: str) -> State:
        return State(self.names.pop(0) if len(self.names) > 1 else self.names[0])  # type: ignore[arg-type]

    async def probe_now(self, provider: str) -> bool:
        raise AssertionError


async def test_the_first_probe_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "_LOOK_EVERY_SECONDS", 0.01)
    assert await first_probe(Told("half_open"), ()), "nobody is tried"
    told = Told("half_open", "half_open", "open")
    assert await first_probe(told, ("openai",)), "it failed, and that is told too"
    assert told.names == ["open"]
    monkeypatch.setattr(waking, "_PROBE_SECONDS", 0.1)
    assert not await first_probe(Told("half_open"), ("openai",))
