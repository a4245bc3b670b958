"""What the gauges are read from: Redis for circuits and budgets, the inbox for approvals, Temporal for the rest."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from redis.asyncio import Redis
from sqlalchemy import RowMapping
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client

from activities.approvals.rows_queries import open_query
from activities.guards.breaker import Breaker
from activities.guards.budgets import Budget, Budgets
from activities.metrics import OTHER, tenant_label
from activities.storage.database import Database
from activities.storage.rows import stamp
from engross.contracts import Outcome
from engross.names import DOCUMENTS_QUEUE, NO_RUNS, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from engross.settings import Settings
from workers import gauges
from workers.gauges import Reading, Source
from workers.waking import waiting_query

_STATES: Final = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
_RPC_TIMEOUT: Final = timedelta(seconds=5)
# The names of tenants are found by a search through all that Redis holds.
_TENANTS_EVERY_SECONDS: Final = 300.0
_QUEUES: Final = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *map(models_queue, PROVIDERS))
_WORKFLOW, _ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY

_RUNNING: Final = "ExecutionStatus = 'Running'"
_OPEN: Final = f"{_RUNNING} AND " + " AND ".join(f"WorkflowType != '{kind}'" for kind in NO_RUNS)
_STUCK: Final = f"TemporalReportedProblems IS NOT NULL AND {_RUNNING}"


def sources_of(
    client: Client, store: Redis, database: Database, budgets: Budgets, settings: Settings
) -> dict[str, Source]:
    """Every source of this installation, for `workers.gauges.watch`."""
    purses = Purses(budgets, settings)
    return {
        "circuits": Source((gauges.CIRCUIT_STATE,), lambda: circuits(Breaker(store))),
        "budgets": Source((gauges.BUDGET_LIMIT, gauges.BUDGET_USED), purses.read),
        "approvals": Source(
            (gauges.APPROVALS_WAITING, gauges.APPROVALS_OVERDUE, gauges.APPROVAL_OLDEST), lambda: approvals(database)
        ),
        "runs": Source((gauges.RUNS_WAITING,), lambda: runs(client)),
        "queues": Source((gauges.BACKLOG, gauges.BACKLOG_AGE, gauges.POLLERS), lambda: queues(client)),
    }


async def circuits(breaker: Breaker) -> list[Reading]:
    """Of every provider. Raises `ServiceUnavailable` when Redis does not answer."""
    states = await circuit_states(breaker)
    return [Reading(gauges.CIRCUIT_STATE, _STATES[state], (provider,)) for provider, state in states.items()]


async def circuit_states(breaker: Breaker) -> dict[str, str]:
    """`closed`, `open` or `half_open`, by provider. Raises `ServiceUnavailable` when Redis does not answer."""
    return {provider: (await breaker.state(provider)).name for provider in PROVIDERS}


class Purses:
    """The budgets of the day and of the tenants that have a label of their own."""

    def __init__(self, budgets: Budgets, settings: Settings) -> None:
        self._budgets = budgets
        self._day = Budget("day", "", settings.budget_day_usd)
        self._tenant_usd: Decimal | None = settings.budget_tenant_usd
        self._tenants: tuple[str, ...] = ()
        self._looked_at = -_TENANTS_EVERY_SECONDS

    async def read(self) -> list[Reading]:
        """Raises `ServiceUnavailable` when Redis does not answer."""
        if time.monotonic() - self._looked_at >= _TENANTS_EVERY_SECONDS:
            found = await self._budgets.tenants()
            self._tenants = tuple(name for name in found if tenant_label(name) != OTHER)
            self._looked_at = time.monotonic()
        readings = await self._of(self._day)
        for name in self._tenants:
            readings += await self._of(Budget("tenant", name, self._tenant_usd))
        return readings

    async def _of(self, budget: Budget) -> list[Reading]:
        found = await self._budgets.balance(budget)
        labels = (budget.scope, budget.name)
        used = Reading(gauges.BUDGET_USED, float(found.spent_usd + found.unclear_usd + found.reserved_usd), labels)
        if found.limit_usd is None:
            return [used]
        return [used, Reading(gauges.BUDGET_LIMIT, float(found.limit_usd + found.raised_usd), labels)]


async def approvals(database: Database) -> list[Reading]:
    """Raises `ServiceUnavailable` when the database does not answer."""
    now = datetime.now(UTC)
    return approval_readings(await database.fetch(open_query(stamp(now))), now)


def approval_readings(rows: Iterable[RowMapping], now: datetime) -> list[Reading]:
    """From the rows of `open_query`. Tenants without a label of their own are added up."""
    waiting, overdue = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    oldest: dict[tuple[str, ...], float] = {}
    for row in rows:
        labels = (row["job"], tenant_label(row["tenant"]))
        waiting[(*labels, row["risk"])] += row["total"]
        overdue[labels] += row["overdue"]
        age = (now - datetime.fromisoformat(row["oldest"])).total_seconds()
        oldest[labels] = max(oldest.get(labels, 0.0), age)
    return [
        *(Reading(gauges.APPROVALS_WAITING, count, labels) for labels, count in waiting.items()),
        *(Reading(gauges.APPROVALS_OVERDUE, count, labels) for labels, count in overdue.items()),
        *(Reading(gauges.APPROVAL_OLDEST, age, labels) for labels, age in oldest.items()),
    ]


async def runs(client: Client) -> list[Reading]:
    """Counts of the namespace; a moment late, as lists are. Raises Temporal's `RPCError`."""
    readings = [
        Reading(gauges.RUNS_OPEN, await _count(client, _OPEN)),
        Reading(gauges.RUNS_STUCK, await _count(client, _STUCK)),
    ]
    for outcome in (Outcome.PARKED, Outcome.NEEDS_APPROVAL):
        count = await _count(client, waiting_query((outcome,)))
        readings.append(Reading(gauges.RUNS_WAITING, count, (outcome.value,)))
    return readings


async def _count(client: Client, query: str) -> int:
    return (await client.count_workflows(query, rpc_timeout=_RPC_TIMEOUT)).count


async def queues(client: Client) -> list[Reading]:
    """Of every queue that has work or workers. Raises Temporal's `RPCError`."""
    readings: list[Reading] = []
    for queue in _QUEUES:
        found = await _described(client, queue)
        backlog, pollers = found.stats.approximate_backlog_count, len(found.pollers)
        # A provider that nobody uses has neither; the other queues are always told.
        if backlog or pollers or queue in (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE):
            labels = (queue, "workflow" if queue == WORKFLOWS_QUEUE else "activity")
            age = found.stats.approximate_backlog_age.ToTimedelta().total_seconds()
            readings += [
                Reading(gauges.BACKLOG, backlog, labels),
                Reading(gauges.BACKLOG_AGE, age, labels),
                Reading(gauges.POLLERS, pollers, labels),
            ]
    return readings


async def poller_counts(client: Client) -> dict[str, int]:
    """How many workers have asked for tasks lately, by queue. Raises Temporal's `RPCError`."""
    return {queue: len((await _described(client, queue)).pollers) for queue in _QUEUES}


async def _described(client: Client, queue: str) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=_WORKFLOW if queue == WORKFLOWS_QUEUE else _ACTIVITY,
            report_stats=True,
        ),
        timeout=_RPC_TIMEOUT,
    )
