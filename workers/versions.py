"""The version of a worker: which build it is, and that a run stays on the build that it began on."""

from importlib.metadata import version
from typing import Final

import structlog
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from engross.settings import Settings

# What a server says of builds that does not know any, or that has none of this name.
_UNKNOWN: Final = (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNIMPLEMENTED)

_log = structlog.get_logger(__name__)


def deployment_config(settings: Settings) -> WorkerDeploymentConfig:
    """Named, but not versioned, without ENGROSS_BUILD_ID; with it, every workflow type is pinned to its build.

    Also those that wait long. No run ever changes its code unless somebody moves it, and `engross builds move` replays
    its history first. A job's own workflow may say otherwise in its `@workflow.defn`.
    """
    build_id = settings.build_id
    return WorkerDeploymentConfig(
        # Without a name the SDK hashes every loaded module for one, which takes seconds.
        version=WorkerDeploymentVersion(deployment_name=settings.deployment, build_id=build_id or version("engross")),
        use_worker_versioning=build_id is not None,
        default_versioning_behavior=VersioningBehavior.PINNED if build_id else VersioningBehavior.UNSPECIFIED,
    )


async def current_build(client: Client, deployment: str) -> str | None:
    """The build that gets new runs; None when there is none. Raises `RPCError`."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    try:
        described = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status in _UNKNOWN:
            return None
        raise
    return described.worker_deployment_info.routing_config.current_deployment_version.build_id or None


async def tell_when_idle(client: Client, settings: Settings) -> None:
    """Says in the log when this worker's build gets no new runs, and the command that changes it."""
    if settings.build_id is None:
        return
    try:
        current = await current_build(client, settings.deployment)
    except RPCError as error:
        _log.warning("could not ask which build is current", error=error.status.name)
        return
    if current is None:
        _log.warning(
            "no build is current, so versioned workers get no work",
            build=settings.build_id,
            fix=f"engross builds promote {settings.build_id}",
        )
    elif current != settings.build_id:
        _log.info("another build is current and gets the new runs", build=settings.build_id, current=current)
