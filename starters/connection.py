"""The way to Temporal: connects with a deadline, and gives its errors our names."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from engross.endpoints import Endpoints
from engross.errors import ConfigurationError, EngrossError, InvalidRequest, RunNotFound, ServiceUnavailable
from engross.names import REGISTER_ATTRIBUTES, WORKFLOWS_QUEUE
from engross.settings import Settings
from workers.temporal_access import connect_options
from workers.temporal_trouble import unreachable

CONNECT_SECONDS: Final = 10.0
RPC_TIMEOUT: Final = timedelta(seconds=10)
# The server answers a long poll after about 20 seconds when nothing has happened.
WAIT_TIMEOUT: Final = timedelta(seconds=60)


@cache
def _quiet_runtime() -> Runtime:
    # The SDK logs every attempt of a call that fails; the error that we raise at the end says it once.
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=TelemetryFilter("ERROR", "ERROR"))))


async def connect(settings: Settings, endpoints: Endpoints) -> Client:
    """A connected client. TEMPORAL_* variables and profiles give TLS and keys.

    Raises `ServiceUnavailable` when nothing answers within `CONNECT_SECONDS`, `ConfigurationError` when access is
    refused.
    """
    options = connect_options(settings, endpoints.temporal)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            with translated(endpoints.temporal):
                return await Client.connect(**options, runtime=_quiet_runtime())
    except (TimeoutError, RuntimeError, ValueError) as error:
        # The SDK reports a refused connection as a RuntimeError, a bad address as a ValueError.
        raise unreachable(error, endpoints.temporal) from error


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """Turns the errors of calls to Temporal at `address` into ours."""
    try:
        yield
    except RPCError as error:
        raise _named(error, address) from error


async def has_pollers(client: Client, queue: str) -> bool:
    """Whether a worker polls `queue`, or has in the last minutes. The queue's name says what kind of work it holds."""
    kinds = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kinds[queue != WORKFLOWS_QUEUE],
        ),
        timeout=RPC_TIMEOUT,
    )
    return len(described.pollers) > 0


def _named(error: RPCError, address: str) -> EngrossError:
    reason = (error.message.splitlines() or [error.status.name])[0]
    if error.status is RPCStatusCode.NOT_FOUND:
        if "namespace" in reason.lower():
            return ConfigurationError(f"Temporal at {address}: {reason}; set TEMPORAL_NAMESPACE to one that exists")
        return RunNotFound("no run has that id")
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        if "search attribute" in reason.lower():
            return ConfigurationError(f"Temporal at {address} lacks search attributes; run: {REGISTER_ATTRIBUTES}")
        return InvalidRequest(f"Temporal refused the request: {reason}")
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return ConfigurationError(f"Temporal at {address} refuses access: {reason}; check TEMPORAL_API_KEY and TLS")
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return unreachable(error, address)
    return ServiceUnavailable(f"Temporal at {address} failed: {error.status.name}: {reason}")
