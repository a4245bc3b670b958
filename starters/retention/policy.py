"""How long what is kept: the settings, and Temporal's own retention, below which no result is deleted."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from activities.storage.rows import stamp
from engross.errors import InvalidRequest
from engross.names import is_name
from engross.settings import Settings
from starters.connection import RPC_TIMEOUT, translated


@dataclass(frozen=True)
class Policy:
    """What is old. Of `tenant` only, or of all for None; times are UTC.

    Runs that ended before `runs_before` go (None: none do), and blobs that were put before `blobs_before` and that
    nothing needs. `raised_from`: the days of ENGROSS_RESULT_DAYS, where Temporal shows ended runs for longer than that.
    """

    blobs_before: datetime
    runs_before: datetime | None = None
    tenant: str | None = None
    raised_from: float | None = None

    @property
    def ended_before(self) -> str:
        """`runs_before` as it stands in tables; before every time where no run is old."""
        return stamp(self.runs_before) if self.runs_before else ""


async def policy_of(client: Client, settings: Settings, tenant: str | None, now: datetime | None = None) -> Policy:
    """What the settings call old at `now`. Raises `InvalidRequest` for no tenant's name, and what Temporal is in."""
    if tenant is not None and not is_name(tenant):
        raise InvalidRequest(f"{tenant!r} is no name of a tenant")
    now = now or datetime.now(UTC)
    blobs_before = _before(now, settings.blob_days)
    if settings.result_days is None:
        return Policy(blobs_before, None, tenant)
    shown = (await namespace_retention(client)) / timedelta(days=1)
    # A result must not vanish while Temporal still shows its run.
    raised = settings.result_days if shown > settings.result_days else None
    return Policy(blobs_before, _before(now, max(shown, settings.result_days)), tenant, raised)


async def namespace_retention(client: Client) -> timedelta:
    """How long the client's namespace shows closed workflows."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    with translated(client.service_client.config.target_host):
        described = await client.workflow_service.describe_namespace(request, timeout=RPC_TIMEOUT)
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


def _before(now: datetime, days: float) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError:  # so many days that nothing is as old
        return datetime.min.replace(tzinfo=UTC)
