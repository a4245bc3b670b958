"""What changes where runs go: a build becomes current, gets a share, and open runs move from one to another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engross.errors import EngrossError
from starters.builds import Builds
from starters.connection import RPC_TIMEOUT
from starters.replay import Execution

Answer = TypeVar("Answer")

_MOVED_AT_ONCE: Final = 8
_Pinned = VersioningOverride.PinnedOverride


class BuildRefused(EngrossError):
    """A build cannot take what it was to take."""


async def make_current(builds: Builds, build_id: str) -> None:
    """New runs begin on it from now on, and a ramp to it ends. Raises `BuildRefused` when the server says no."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=builds.temporal.namespace,
        deployment_name=builds.deployment,
        build_id=build_id,
        identity=builds.temporal.identity,
    )
    service = builds.temporal.workflow_service
    await _accepted(service.set_worker_deployment_current_version(request, timeout=RPC_TIMEOUT))


async def ramp(builds: Builds, build_id: str, percent: float) -> None:
    """So many percent of new runs begin on it; an empty id ends the ramp. Raises `BuildRefused`."""
    request = SetWorkerDeploymentRampingVersionRequest(
        namespace=builds.temporal.namespace,
        deployment_name=builds.deployment,
        build_id=build_id,
        percentage=percent,
        identity=builds.temporal.identity,
    )
    service = builds.temporal.workflow_service
    await _accepted(service.set_worker_deployment_ramping_version(request, timeout=RPC_TIMEOUT))


async def move(builds: Builds, executions: Sequence[Execution], build_id: str, each: Callable[[], None]) -> int:
    """Pins `executions` to another build, from their next step on: how many. What has ended meanwhile is left alone.

    Calls `each` after each. Raises `BuildRefused` when that build does not serve their queue.
    """
    room = asyncio.Semaphore(_MOVED_AT_ONCE)
    version = WorkerDeploymentVersion(deployment_name=builds.deployment, build_id=build_id)
    pinned = _Pinned(version=version, behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED)

    async def one(execution: Execution) -> bool:
        async with room:
            is_moved = await _pin(builds.temporal, execution, VersioningOverride(pinned=pinned))
            each()
            return is_moved

    tasks = [asyncio.create_task(one(execution)) for execution in executions]
    try:
        return sum(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _pin(connection: Client, execution: Execution, override: VersioningOverride) -> bool:
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace=connection.namespace,
        workflow_execution=WorkflowExecution(workflow_id=execution.workflow_id, run_id=execution.run_id),
        workflow_execution_options=WorkflowExecutionOptions(versioning_override=override),
        update_mask=FieldMask(paths=["versioning_override"]),
        identity=connection.identity,
    )
    try:
        await _accepted(connection.workflow_service.update_workflow_execution_options(request, timeout=RPC_TIMEOUT))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _accepted(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except RPCError as error:
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            reason = (error.message.splitlines() or ["no reason given"])[0]
            raise BuildRefused(f"Temporal refused: {reason}") from error
        raise
