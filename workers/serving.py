"""What a worker does once its libraries are loaded: it connects, and polls each queue as soon as it can serve it."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final

import structlog
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.documents.pool import ParserPool
from activities.guards.breaker import Breaker
from activities.metrics import bound_tenants
from engross.catalog import Catalog
from engross.endpoints import Endpoints
from engross.errors import ServiceUnavailable
from engross.names import WORKFLOWS_QUEUE
from engross.settings import Settings
from workers.gauges import Source, tell_build, watch
from workers.gauges_queries import circuit_states, poller_counts, sources_of
from workers.health import About, Check, health_server
from workers.interceptor import StepInterceptor
from workers.loading import together
from workers.log_level import follow
from workers.logs import Levels
from workers.redis_access import open_budgets
from workers.runtime import build_runtime
from workers.search_attributes import ensure_search_attributes
from workers.temporal_access import connect_options
from workers.temporal_trouble import unreachable
from workers.versions import deployment_config, tell_when_idle
from workers.waking import wake_after_start
from workers.wiring import Wiring, activities_of, wire, workflows_of

_CONNECT_EVERY_SECONDS: Final = 1.0
# A workflow task stuck to a worker that died waits this long before another may have it.
_STICKY: Final = timedelta(seconds=2)

_log = structlog.get_logger(__name__)


async def serve(
    settings: Settings,
    endpoints: Endpoints,
    queues: Sequence[str],
    parsers: ParserPool,
    levels: Levels,
    stop: asyncio.Event,
) -> None:
    """Polls `queues`, each from when all that its activities use is loaded and connected, until `stop`; then drains.

    Needs `parsers` that were begun when `documents` is among the queues.
    """
    runtime, core_metrics = build_runtime()
    bound_tenants(settings.metric_tenants)
    page = _Page(settings)
    async with AsyncExitStack() as stack:
        # First of all: a worker that waits for Temporal is alive, and must not be killed for it.
        about = page.about(core_metrics, stop)
        await stack.enter_async_context(health_server(settings.health_host, settings.health_port, page.checks, about))
        wiring, client = await together(
            stack.enter_async_context(wire(settings, endpoints, parsers)),
            _connect(settings, endpoints.temporal, runtime, stop),
        )
        if client is None:
            return
        polled: list[str] = []
        page.connected(client, wiring, lambda: [queue for queue in queues if queue not in polled])
        _in_background(stack, follow(wiring.redis, levels))
        for queue in queues:
            if stop.is_set():
                break
            activities = await activities_of(queue, wiring, stack)
            await stack.enter_async_context(_worker(client, settings, queue, activities, wiring.catalog))
            polled.append(queue)
            _log.info("queue is polled", queue=queue)
        else:
            _log.info("worker is polling", queues=list(queues), jobs=sorted(wiring.catalog.jobs))
            _in_background(stack, wake_after_start(client, wiring.redis, queues))
            _in_background(stack, tell_when_idle(client, settings))
            if WORKFLOWS_QUEUE in queues:
                _in_background(stack, watch(_sources(client, wiring)))
        await stop.wait()
        _log.info("worker is draining", seconds=settings.drain_seconds)
    _log.info("worker has stopped")


def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Until `stack` is left."""
    stack.callback(asyncio.create_task(work).cancel)


async def _connect(settings: Settings, address: str, runtime: Runtime, stop: asyncio.Event) -> Client | None:
    """A connected client; waits for a server that isn't there yet, and says so. None when told to stop first."""
    options = connect_options(settings, address, in_worker=True)
    waiting = False
    while not stop.is_set():
        try:
            client = await Client.connect(**options, runtime=runtime)
        except (RPCError, RuntimeError) as error:
            if not waiting:
                _log.warning("waiting for Temporal", address=address, problem=str(unreachable(error, address)))
            waiting = True
            await asyncio.wait([asyncio.create_task(stop.wait())], timeout=_CONNECT_EVERY_SECONDS)
        else:
            await ensure_search_attributes(client)
            return client
    return None


def _worker(
    client: Client, settings: Settings, queue: str, activities: Sequence[Callable[..., Any]], catalog: Catalog
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows_of(catalog) if queue == WORKFLOWS_QUEUE else (),
        activities=activities,
        interceptors=[StepInterceptor()],
        # The sandbox would take more CPU than the steps of a short run. Workflows run in it where they are tested and
        # replayed, which is where a mistake is found; see docs/adr/0021.
        workflow_runner=UnsandboxedWorkflowRunner(),
        # Long enough for a running model call to hand its reply back; what takes longer is retried elsewhere.
        graceful_shutdown_timeout=timedelta(seconds=settings.drain_seconds),
        sticky_queue_schedule_to_start_timeout=_STICKY,
        max_concurrent_activities=settings.activity_slots,
        max_concurrent_local_activities=settings.activity_slots,
        max_concurrent_workflow_tasks=settings.workflow_slots,
        max_concurrent_activity_task_polls=settings.pollers,
        max_concurrent_workflow_task_polls=settings.pollers,
        max_cached_workflows=settings.cached_runs,
        deployment_config=deployment_config(settings),
    )


class _Page:
    """What the health page tells: first that the worker is not connected, then how all it needs is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._wiring: Wiring | None = None
        self.checks: dict[str, Check] = {"connections": _not_connected}

    def about(self, core_metrics: str, stop: asyncio.Event) -> About:
        """What it tells besides its checks."""
        build = {"version": version("engross"), "build_id": self._settings.build_id or ""}
        tell_build(**build)
        return About(
            build=build, circuits=self._circuits, pollers=self._pollers, core_metrics=core_metrics, draining=stop
        )

    def connected(self, client: Client, wiring: Wiring, waiting: Callable[[], Collection[str]]) -> None:
        """From now on; `waiting` names the queues that are not polled yet."""
        self._client, self._wiring = client, wiring
        self.checks.clear()
        self.checks |= {
            "queues": lambda: _all_polled(waiting()),
            "temporal": client.service_client.check_health,
            "redis": wiring.redis.ping,
            "blobs": wiring.blobs.check,
            "results": wiring.results.check,
        }

    async def _circuits(self) -> dict[str, str]:
        return await circuit_states(Breaker(self._wiring.redis)) if self._wiring else {}

    async def _pollers(self) -> dict[str, int]:
        return await poller_counts(self._client) if self._client else {}


async def _not_connected() -> None:
    """Raises `ServiceUnavailable`."""
    raise ServiceUnavailable("waits for Temporal, Redis and the stores; see the log")


def _sources(client: Client, wiring: Wiring) -> dict[str, Source]:
    budgets = open_budgets(wiring.settings, wiring.redis)
    return sources_of(client, wiring.redis, wiring.records.database, budgets, wiring.settings)


async def _all_polled(waiting: Collection[str]) -> None:
    """Raises `ServiceUnavailable` when there are queues that wait for their libraries."""
    if waiting:
        raise ServiceUnavailable(f"not polled yet: {', '.join(waiting)}")
