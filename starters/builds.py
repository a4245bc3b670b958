"""Builds of the workers as Temporal knows them: which one gets new runs, and which runs each still has to end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Version
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engross.errors import InvalidRequest
from engross.names import DOCUMENTS_QUEUE, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from starters.connection import RPC_TIMEOUT
from starters.replay import OPEN

# What promoting a build hands to it at once: runs of workers without a build, and those that follow the current one.
FOLLOWING: Final = (
    f"{OPEN} AND (TemporalWorkflowVersioningBehavior IS NULL OR TemporalWorkflowVersioningBehavior = 'AutoUpgrade')"
)
# The server lists pollers for five minutes after they are gone; one that lives asks at least once a minute.
_ALIVE: Final = timedelta(seconds=90)
_WORKFLOW: Final = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_ACTIVITY: Final = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_VERSIONED: Final = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
_QUEUES: Final = (
    (WORKFLOWS_QUEUE, _WORKFLOW),
    *((queue, _ACTIVITY) for queue in (DOCUMENTS_QUEUE, *map(models_queue, PROVIDERS))),
)


@dataclass(frozen=True)
class Queue:
    """A task queue that a build serves, and how many workers of it poll it now. `kind`: workflow or activity."""

    name: str
    kind: str
    pollers: int


@dataclass(frozen=True)
class Build:
    """One build. `status`: current, ramping, draining, drained, inactive (never used). `open_runs` are pinned to it."""

    build_id: str
    status: str
    ramp_percent: float
    open_runs: int
    last_current: datetime | None
    queues: tuple[Queue, ...]

    @property
    def is_used(self) -> bool:
        """Whether it gets new runs."""
        return self.status in ("current", "ramping")


class Builds:
    """The builds of one worker deployment. Every method raises `RPCError` when the server fails."""

    def __init__(self, connection: Client, deployment: str) -> None:
        self.temporal = connection
        self.deployment = deployment

    async def all(self) -> Sequence[Build]:
        """Every build that the server knows, newest first; none when no versioned worker has polled yet."""
        info = await self._described()
        if info is None:
            return ()
        ramp = info.routing_config.ramping_version_percentage
        return [await self._build(summary, ramp) for summary in info.version_summaries]

    async def get(self, build_id: str) -> Build:
        """One build. Raises `InvalidRequest` when no worker of it has polled."""
        builds = await self.all()
        for build in builds:
            if build.build_id == build_id:
                return build
        known = ", ".join(build.build_id for build in builds) or "none"
        raise InvalidRequest(
            f"no worker of build {build_id!r} has polled; builds of {self.deployment!r} are: {known}."
            " Start workers with ENGROSS_BUILD_ID set to it"
        )

    async def missing(self, build: Build) -> Sequence[str]:
        """Queues that need this build before it may have runs, and that no worker of it polls now.

        They are its own, those of the current build, or of workers without a build as long as none is current.
        """
        current = current_of(await self.all())
        replaced = current.queues if current else await self._unversioned()
        live = {(queue.name, queue.kind) for queue in build.queues if queue.pollers}
        wanted = {(queue.name, queue.kind) for queue in (*build.queues, *replaced)}
        return [f"{name} ({kind})" for name, kind in sorted(wanted - live)]

    def pinned(self, build_id: str) -> str:
        """Temporal's list filter for open runs that only workers of this build go on with."""
        return (
            f"{OPEN} AND TemporalWorkflowVersioningBehavior = 'Pinned'"
            f" AND TemporalWorkerDeploymentVersion = '{self.deployment}:{build_id}'"
        )

    async def count(self, query: str) -> int:
        """How many runs a filter finds; lists are a moment late."""
        return (await self.temporal.count_workflows(query, rpc_timeout=RPC_TIMEOUT)).count

    async def _described(self) -> WorkerDeploymentInfo | None:
        request = DescribeWorkerDeploymentRequest(namespace=self.temporal.namespace, deployment_name=self.deployment)
        try:
            answer = await self.temporal.workflow_service.describe_worker_deployment(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return answer.worker_deployment_info

    async def _build(self, summary: WorkerDeploymentInfo.WorkerDeploymentVersionSummary, ramp: float) -> Build:
        build_id = summary.deployment_version.build_id
        name = WorkerDeploymentVersionStatus.Name(summary.status)
        status = name.removeprefix("WORKER_DEPLOYMENT_VERSION_STATUS_").lower()
        return Build(
            build_id=build_id,
            status=status,
            ramp_percent=ramp if status == "ramping" else 0,
            open_runs=await self.count(self.pinned(build_id)),
            last_current=_moment(summary.last_current_time),
            queues=await self._queues(build_id),
        )

    async def _queues(self, build_id: str) -> tuple[Queue, ...]:
        request = DescribeWorkerDeploymentVersionRequest(
            namespace=self.temporal.namespace,
            deployment_version=Version(deployment_name=self.deployment, build_id=build_id),
        )
        service = self.temporal.workflow_service
        try:
            described = await service.describe_worker_deployment_version(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # its first worker has come this moment
                return ()
            raise
        queues = []
        for name, kind in sorted((each.name, each.type) for each in described.version_task_queues):
            polled_by = [each for each in await self._pollers(name, kind) if self._is_of(each, build_id)]
            queues.append(Queue(name, _kind(kind), len({poller.identity for poller in polled_by})))
        return tuple(queues)

    async def _unversioned(self) -> Sequence[Queue]:
        """The queues that workers without a build poll, as far as we know the names."""
        found = []
        for name, kind in _QUEUES:
            pollers = await self._pollers(name, kind)
            others = [each for each in pollers if each.deployment_options.worker_versioning_mode != _VERSIONED]
            if others:
                found.append(Queue(name, _kind(kind), len(others)))
        return found

    async def _pollers(self, name: str, kind: "TaskQueueType.ValueType") -> Sequence[PollerInfo]:
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        )
        described = await self.temporal.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        since = datetime.now(UTC) - _ALIVE
        return [poller for poller in described.pollers if poller.last_access_time.ToDatetime(UTC) > since]

    def _is_of(self, poller: PollerInfo, build_id: str) -> bool:
        of = poller.deployment_options
        return (of.deployment_name, of.build_id) == (self.deployment, build_id)


async def idle_build(builds: Builds) -> str | None:
    """The newest build when none is current, so that its workers get no work; None when all is well."""
    found = await builds.all()
    return found[0].build_id if found and current_of(found) is None else None


def current_of(builds: Sequence[Build]) -> Build | None:
    """The build that new runs begin on, but for those that a ramp takes."""
    return next((build for build in builds if build.status == "current"), None)


def previous_of(builds: Sequence[Build]) -> Build | None:
    """The build that was current before the one that is."""
    were = [(build.last_current, build) for build in builds if build.last_current and build.status != "current"]
    return max(were, key=lambda each: each[0])[1] if were else None


def _kind(kind: "TaskQueueType.ValueType") -> str:
    return TaskQueueType.Name(kind).removeprefix("TASK_QUEUE_TYPE_").lower()


def _moment(value: Timestamp) -> datetime | None:
    return value.ToDatetime(UTC) if value.seconds else None
