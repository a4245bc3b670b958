"""What workers measure of the installation, from a real Temporal, a real Valkey and a real database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from prometheus_client import REGISTRY, Gauge
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.approvals.rows import ApprovalRows
from activities.guards.breaker import Breaker, Permit
from activities.guards.budgets import Budget, Budgets
from activities.storage.database import Database
from engross.contracts import ApprovalNote, ApprovalRequest, ApprovalState, Risk, Verdict
from engross.names import APPROVAL, SEARCH_ATTRIBUTES
from engross.settings import Settings, load_settings, variable
from tests.valkey import Valkey, make_client
from workers import gauges
from workers.gauges import Reading, Source, tell_build, watch
from workers.gauges_queries import Purses, approvals, circuits, poller_counts, queues, runs
from workers.search_attributes import add_search_attributes
from workflows.attributes import OUTCOME

EVERY = 0.02


@workflow.defn(name="Breaks")
class Breaks:
    @workflow.run
    async def run(self) -> None:
        raise ValueError("again and again")


@pytest_asyncio.fixture
async def store(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    valkey.start()
    async with make_client(valkey.url) as client:
        await client.flushdb()
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_binary: str) -> AsyncIterator[Client]:
    # Else a run counts as stuck after five tries, which take a minute.
    at_once = ("--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=1")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary, dev_server_extra_args=at_once
    ) as server:
        await add_search_attributes(server.client, SEARCH_ATTRIBUTES)
        yield server.client


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    monkeypatch.setenv("ENGROSS_BUDGET_DAY_USD", "2")
    return load_settings(env_file=None)


def values(readings: Iterable[Reading]) -> dict[tuple[Any, ...], float]:
    return {(reading.gauge, *reading.labels): reading.value for reading in readings}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while True:
            is_so = condition()
            if await is_so if asyncio.iscoroutine(is_so) else is_so:
                return
            await asyncio.sleep(EVERY)


# --- sources ----------------------------------------------------------------------------------------------------


async def test_circuits(store: redis.asyncio.Redis) -> None:
    breaker = Breaker(store)
    permit = await breaker.allow("openai")
    assert isinstance(permit, Permit)
    await breaker.failure("openai", permit, at_once=True)
    told = values(await circuits(breaker))
    assert told[gauges.CIRCUIT_STATE, "openai"] == 1
    assert told[gauges.CIRCUIT_STATE, "anthropic"] == 0
    await breaker.probe_now("openai")
    assert values(await circuits(breaker))[gauges.CIRCUIT_STATE, "openai"] == 0.5


async def test_budgets_of_the_day_and_of_tenants(store: redis.asyncio.Redis, settings: Settings) -> None:
    budgets = Budgets(store, held_seconds=60)
    day, acme = Budget("day", "", Decimal(2)), Budget("tenant", "acme", None)
    await budgets.reserve((day, acme), holder="a", attempt="1", amount_usd=Decimal("0.5"))
    await budgets.settle((day, acme), holder="a", cost_usd=Decimal("0.25"))
    await budgets.reserve((day, acme), holder="b", attempt="1", amount_usd=Decimal("0.5"))
    await budgets.raise_limit(day, by_usd=Decimal(1), request="r")
    assert values(await Purses(budgets, settings).read()) == {
        (gauges.BUDGET_USED, "day", ""): 0.75,
        (gauges.BUDGET_LIMIT, "day", ""): 3,
        (gauges.BUDGET_USED, "tenant", "acme"): 0.75,
    }


def note(
    name: str, *, age: timedelta, due: timedelta | None, risk: Risk = Risk.HIGH, is_open: bool = True
) -> ApprovalNote:
    now = datetime.now(UTC)
    return ApprovalNote(
        approval_id=name,
        attempt="1",
        request=ApprovalRequest(job="invoice", tenant="acme", run_id=name, risk=risk),
        state=ApprovalState(
            verdict=Verdict.OPEN if is_open else Verdict.APPROVED,
            opened_at=now - age,
            due_at=now + due if due is not None else None,
        ),
    )


async def test_approvals_by_risk_and_age(tmp_path: Path) -> None:
    database = Database.open(f"sqlite+aiosqlite:///{tmp_path}/results.db")
    rows = ApprovalRows(database)
    await rows.start()
    hour = timedelta(hours=1)
    for each in (
        note("late", age=3 * hour, due=-hour),
        note("soon", age=hour, due=hour),
        note("never", age=hour, due=None, risk=Risk.MEDIUM),
        note("closed", age=9 * hour, due=-hour, is_open=False),
    ):
        await rows.put(each)
    told = values(await approvals(database))
    await database.close()
    assert 10_800 <= told.pop((gauges.APPROVAL_OLDEST, "invoice", "acme")) < 10_800 + 600
    assert told == {
        (gauges.APPROVALS_WAITING, "invoice", "acme", "high"): 2,
        (gauges.APPROVALS_WAITING, "invoice", "acme", "medium"): 1,
        (gauges.APPROVALS_OVERDUE, "invoice", "acme"): 1,
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_runs_that_are_open_wait_and_are_stuck(client: Client) -> None:
    async def start(name: str, kind: str = "chain", outcome: str | None = None) -> None:
        shown = TypedSearchAttributes([SearchAttributePair(OUTCOME, outcome)]) if outcome else TypedSearchAttributes([])
        await client.start_workflow(kind, id=name, task_queue="nobody", search_attributes=shown)

    await start("open")
    await start("parked", outcome="parked")
    await start("asks", outcome="needs_approval")
    await start("asks-approval", kind=APPROVAL)
    async with Worker(client, task_queue="q", workflows=[Breaks], workflow_runner=UnsandboxedWorkflowRunner()):
        await client.start_workflow(Breaks.run, id="stuck", task_queue="q")

        async def all_told() -> bool:
            return values(await runs(client)) == {
                (gauges.RUNS_OPEN,): 4,
                (gauges.RUNS_STUCK,): 1,
                (gauges.RUNS_WAITING, "parked"): 1,
                (gauges.RUNS_WAITING, "needs_approval"): 1,
            }

        await until(all_told)
        for name in ("open", "parked", "asks", "asks-approval", "stuck"):
            await client.get_workflow_handle(name).terminate()


@pytest.mark.asyncio(loop_scope="module")
async def test_queues_with_their_backlog_and_pollers(client: Client) -> None:
    for number in range(3):
        await client.start_workflow("chain", id=f"waits-{number}", task_queue="workflows")

    async def told() -> dict[tuple[Any, ...], float]:
        return values(await queues(client))

    async def has_backlog() -> bool:
        return (await told())[gauges.BACKLOG, "workflows", "workflow"] == 3

    await until(has_backlog)
    found = await told()
    assert found[gauges.POLLERS, "workflows", "workflow"] == 0
    assert found[gauges.BACKLOG, "documents", "activity"] == 0
    assert (gauges.BACKLOG, "models-openai", "activity") not in found, "nobody uses it"
    async with Worker(client, task_queue="workflows", workflows=[Breaks], workflow_runner=UnsandboxedWorkflowRunner()):

        async def is_polled() -> bool:
            return (await poller_counts(client))["workflows"] > 0

        await until(is_polled)


# --- watching ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gauge() -> Gauge:
    return Gauge("engross_test", "of this test", ("name",), registry=None)


def shown(gauge: Gauge) -> dict[str, float]:
    return {sample.labels["name"]: sample.value for metric in gauge.collect() for sample in metric.samples}


def failures(source: str) -> float:
    return REGISTRY.get_sample_value("engross_watch_failures_total", {"source": source}) or 0.0


async def test_a_source_that_fails_keeps_its_numbers_and_troubles_no_other(gauge: Gauge) -> None:
    other = Gauge("engross_other", "of this test", ("name",), registry=None)
    answers = iter((1.0, 2.0))

    async def fails() -> list[Reading]:
        number = next(answers, None)
        if number is None:
            raise ConnectionError("Jane Doe")
        return [Reading(gauge, number, (f"n{number:.0f}",))]

    async def goes_on() -> list[Reading]:
        return [Reading(other, time.monotonic(), ("now",))]

    before = failures("test")
    sources = {"test": Source((gauge,), fails), "good": Source((other,), goes_on)}
    watching = asyncio.create_task(watch(sources, every_seconds=EVERY))
    await until(lambda: failures("test") >= before + 2)
    seen = shown(other)["now"]
    await until(lambda: shown(other)["now"] > seen)
    assert shown(gauge) == {"n2": 2.0}, "what a source leaves out is gone, and what it told last stays"
    age = REGISTRY.get_sample_value("engross_watch_age_seconds")
    assert age is not None
    await until(lambda: (REGISTRY.get_sample_value("engross_watch_age_seconds") or 0) > age)
    assert not watching.done()
    watching.cancel()


async def test_a_source_that_hangs_is_left(gauge: Gauge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "_SOURCE_SECONDS", EVERY)

    async def hangs() -> list[Reading]:
        await asyncio.Event().wait()
        return []

    before = failures("hanging")
    watching = asyncio.create_task(watch({"hanging": Source((gauge,), hangs)}, every_seconds=EVERY))
    await until(lambda: failures("hanging") >= before + 2)
    watching.cancel()


def test_the_build_is_told() -> None:
    tell_build("1.2.3", "b4")
    assert REGISTRY.get_sample_value("engross_build_info", {"version": "1.2.3", "build_id": "b4"}) == 1
