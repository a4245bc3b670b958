"""The worker process: settings -> wiring -> workers, until it is told to stop."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from engross.endpoints import resolve, temporal_options
from engross.names import WORKFLOWS_QUEUE
from engross.settings import Settings
from workers.health import Check, health_server
from workers.interceptor import StepInterceptor
from workers.logs import configure_logs
from workers.search_attributes import ensure_search_attributes
from workers.waking import wake_after_start
from workers.wiring import WORKFLOWS, Wiring, check_queues, default_queues, wire

_HEALTH_HOST: Final = "127.0.0.1"
_CONNECT_EVERY_SECONDS: Final = 1.0
# Long enough for a running model call to hand its reply back; what takes longer is retried elsewhere.
_DRAIN: Final = timedelta(seconds=30)
# A workflow task stuck to a worker that died waits this long before another may have it.
_STICKY: Final = timedelta(seconds=2)

_log = structlog.get_logger(__name__)


def run_worker(settings: Settings, queues: Sequence[str] | None = None) -> int:
    """Serves `queues` (default: all that this installation can) until SIGTERM or SIGINT, then drains. Exit code."""
    configure_logs(settings.log_level)
    asyncio.run(_serve(settings, tuple(queues) if queues else default_queues(settings)))
    return 0


async def _serve(settings: Settings, queues: Sequence[str]) -> None:
    check_queues(queues)
    stop = _stop_event()
    endpoints = resolve(settings)
    async with wire(settings, endpoints, queues) as wiring:
        for name, reason in wiring.catalog.broken.items():
            _log.error("job is broken and cannot run", job=name, reason=reason)
        client = await _connect(settings, endpoints.temporal, stop)
        if client is None:
            return
        await ensure_search_attributes(client)
        async with AsyncExitStack() as stack:
            for queue in queues:
                await stack.enter_async_context(_worker(client, queue, wiring))
            await stack.enter_async_context(health_server(_HEALTH_HOST, settings.health_port, _checks(client, wiring)))
            _log.info("worker is polling", queues=list(queues), jobs=sorted(wiring.catalog.jobs))
            stack.callback(asyncio.create_task(wake_after_start(client, wiring.redis, queues)).cancel)
            await stop.wait()
            _log.info("worker is draining", seconds=_DRAIN.total_seconds())
    _log.info("worker has stopped")


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _connect(settings: Settings, address: str, stop: asyncio.Event) -> Client | None:
    """A connected client; waits for a server that isn't there yet, and says so. None when told to stop first."""
    options = temporal_options(settings, address)
    waiting = False
    while not stop.is_set():
        try:
            return await Client.connect(**options, data_converter=pydantic_data_converter)
        except (RPCError, RuntimeError) as error:
            if not waiting:
                _log.warning("waiting for Temporal", address=address, error=type(error).__name__)
            waiting = True
            await asyncio.wait([asyncio.create_task(stop.wait())], timeout=_CONNECT_EVERY_SECONDS)
    return None


def _worker(client: Client, queue: str, wiring: Wiring) -> Worker:
    workflows = WORKFLOWS if queue == WORKFLOWS_QUEUE else ()
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=wiring.activities[queue],
        interceptors=[StepInterceptor()],
        # The kernel is data and names, the same in every run: loading it again for each costs 4 ms of CPU.
        workflow_runner=SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules("engross")),
        graceful_shutdown_timeout=_DRAIN,
        sticky_queue_schedule_to_start_timeout=_STICKY,
        # Named, not versioned yet. Without a name the SDK hashes every loaded module for one, which takes seconds.
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(deployment_name="engross", build_id=version("engross")),
            use_worker_versioning=False,
        ),
    )


def _checks(client: Client, wiring: Wiring) -> dict[str, Check]:
    return {
        "temporal": client.service_client.check_health,
        "redis": wiring.redis.ping,
        "blobs": wiring.blobs.check,
        "results": wiring.results.check,
    }
