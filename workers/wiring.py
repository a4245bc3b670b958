"""The composition root: the one place that builds clients and stores and hands them to activities."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio as redis
import structlog

from activities.access.store import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.cases import Cases
from activities.approvals.checking import Checking
from activities.approvals.notes import Noting
from activities.approvals.risk import Assessing
from activities.approvals.rows import ApprovalRows
from activities.batches.batch import Batches
from activities.checks.repair import Repairs
from activities.chunking import Chunking
from activities.documents.inline import InlineText
from activities.documents.pool import ParserPool
from activities.notices.channels import channels_of
from activities.notices.sending import Notices
from activities.ports import Parsers
from activities.prepare import PlainPreparation, Preparation
from activities.sources import Sources
from activities.storage.blobs import BlobStore
from activities.storage.database import Database
from activities.storage.results import ResultStore
from activities.store import Storing
from engross.catalog import Catalog, load_catalog
from engross.endpoints import Endpoints
from engross.names import WORKFLOWS_QUEUE
from engross.settings import Settings
from workers.loading import aside, together
from workers.queues import provider_of
from workers.redis_access import installation_secret, open_redis
from workers.stores_access import open_blobs
from workflows.approval import Approval, Tell
from workflows.batch import Batch
from workflows.batch_group import BatchGroup
from workflows.chain import Chain
from workflows.fan_out import FanOut
from workflows.map_reduce import MapReduce
from workflows.map_segment import MapSegment
from workflows.refine import Refine
from workflows.router import Router

if TYPE_CHECKING:
    from workers.model_wiring import ModelActivities

_PATTERNS: Final = (Chain, MapReduce, MapSegment, FanOut, Router, Refine, Approval)
WORKFLOWS: Final[tuple[type, ...]] = (*_PATTERNS, Batch, BatchGroup, Tell)

_log = structlog.get_logger(__name__)


def workflows_of(catalog: Catalog) -> tuple[type, ...]:
    """The patterns, and the workflows that jobs bring along."""
    own = [job.workflow for job in catalog.jobs.values() if job.workflow is not None]
    return (*WORKFLOWS, *dict.fromkeys(own))


@dataclass(frozen=True)
class Records:
    """What there is in the database about people and approvals. `secret` signs what they decide."""

    database: Database
    access: AccessStore
    rows: ApprovalRows
    audit: AuditLog
    cases: Cases
    secret: bytes

    @classmethod
    def of(cls, database: Database, secret: bytes) -> "Records":
        """The stores in `database`; `start` makes them usable."""
        return cls(
            database=database,
            access=AccessStore(database),
            rows=ApprovalRows(database),
            audit=AuditLog(database, secret),
            cases=Cases(database),
            secret=secret,
        )

    async def start(self) -> None:
        """Creates what is missing."""
        for store in (self.access, self.rows, self.audit, self.cases):
            await store.start()


@dataclass(frozen=True)
class Wiring:
    """What one worker process holds, whatever queues it serves."""

    settings: Settings
    endpoints: Endpoints
    catalog: Catalog
    blobs: BlobStore
    results: ResultStore
    records: "Records"
    redis: redis.Redis
    parsers: ParserPool


@asynccontextmanager
async def wire(settings: Settings, endpoints: Endpoints, parsers: ParserPool) -> AsyncIterator[Wiring]:
    """Loads the jobs, opens the stores, and closes them at the end."""
    catalog = load_catalog(settings.jobs_path)
    for name, reason in catalog.broken.items():
        _log.error("job is broken and cannot run", job=name, reason=reason)
    async with AsyncExitStack() as stack:
        blobs = open_blobs(settings)
        database = Database.open(settings.results_url)
        stack.push_async_callback(database.close)
        results, records = ResultStore(database), Records.of(database, installation_secret(settings))
        cache, _ = await together(
            stack.enter_async_context(open_redis(settings, endpoints.redis)), _started(results, records)
        )
        yield Wiring(settings, endpoints, catalog, blobs, results, records, cache, parsers)


async def _started(results: ResultStore, records: Records) -> None:
    # One after the other: SQLite has one writer.
    await results.start()
    await records.start()


async def activities_of(queue: str, wiring: Wiring, stack: AsyncExitStack) -> Sequence[Callable[..., Any]]:
    """What workers of `queue` do besides workflows, ready to do it; `stack` closes what it needs.

    Waits for the parsers, or loads a provider's library. Raises `ConfigurationError` when the parsers don't start.
    """
    provider = provider_of(queue)
    if provider is not None:
        return await _model_activities(wiring, provider, stack)
    if queue == WORKFLOWS_QUEUE:
        return _cheap_activities(wiring)
    await wiring.parsers.warm()
    return _document_activities(wiring)


async def _model_activities(wiring: Wiring, provider: str, stack: AsyncExitStack) -> Sequence[Callable[..., Any]]:
    def load() -> "ModelActivities":
        from workers.model_wiring import Shared, model_activities  # takes a second: see there

        shared = Shared(wiring.settings, wiring.endpoints, wiring.catalog, wiring.blobs, wiring.redis)
        return model_activities(shared, provider)

    models = await aside(load)
    stack.push_async_callback(models.close)
    return models.activities


def _cheap_activities(wiring: Wiring) -> Sequence[Callable[..., Any]]:
    """The short steps that workflows run where they are, as local activities. They need the stores, and no parsers."""
    preparation = _preparation(wiring, InlineText())
    storing = Storing(blobs=wiring.blobs, results=wiring.results)
    batches = _batches(wiring, preparation)
    checking = Checking(
        people=wiring.records.access,
        blobs=wiring.blobs,
        catalog=wiring.catalog,
        secret=wiring.records.secret,
        unsigned_counts=wiring.settings.unsigned_decisions,
    )
    return (
        PlainPreparation(preparation).prepare_plain,
        storing.store_answer,
        batches.store_group,
        Assessing(blobs=wiring.blobs).assess_risk,
        checking.check_act,
    )


def _document_activities(wiring: Wiring) -> Sequence[Callable[..., Any]]:
    preparation = _preparation(wiring, InlineText(wiring.parsers))
    chunking = Chunking(blobs=wiring.blobs)
    repairs = Repairs(catalog=wiring.catalog, blobs=wiring.blobs, parsers=wiring.parsers)
    storing = Storing(blobs=wiring.blobs, results=wiring.results)
    batches = _batches(wiring, preparation)
    notices = _notices(wiring)
    return (
        preparation.prepare,
        chunking.split_text,
        chunking.read_chunks,
        chunking.keep_ledger,
        repairs.repair_answer,
        storing.store_answer,
        batches.plan_batch,
        batches.prepare_group,
        _noting(wiring, notices).note_approval,
        notices.send_notice,
    )


def _noting(wiring: Wiring, notices: Notices) -> Noting:
    records = wiring.records
    return Noting(
        database=records.database,
        rows=records.rows,
        audit=records.audit,
        cases=records.cases,
        has_channels=notices.has_channels,
    )


def _notices(wiring: Wiring) -> Notices:
    settings = wiring.settings
    channels = channels_of(
        notify_webhook=settings.notify_webhook,
        notify_slack=settings.notify_slack,
        smtp_url=settings.smtp_url,
        mail_from=settings.mail_from,
        secret=wiring.records.secret,
        addresses=wiring.records.access,
        answers=wiring.blobs,
    )
    return Notices(channels=channels, console_address=settings.console_address)


def _preparation(wiring: Wiring, parsers: Parsers) -> Preparation:
    return Preparation(
        catalog=wiring.catalog,
        blobs=wiring.blobs,
        sources=_sources(wiring),
        parsers=parsers,
        routes=wiring.settings.routes,
        budget_usd=wiring.settings.budget_run_usd,
    )


def _batches(wiring: Wiring, preparation: Preparation) -> Batches:
    return Batches(
        catalog=wiring.catalog,
        blobs=wiring.blobs,
        sources=_sources(wiring),
        preparation=preparation,
        results=wiring.results,
    )


def _sources(wiring: Wiring) -> Sources:
    settings = wiring.settings
    return Sources(blobs=wiring.blobs, roots=document_roots(settings), max_mb=settings.max_document_mb)


def document_roots(settings: Settings) -> tuple[Path, ...]:
    """The folders that `file:///` reads from.

    With the embedded stack, whoever can start a run is the user of this machine. With a Temporal server of yours
    it can be anybody, so nothing is readable until it is named.
    """
    if settings.document_roots is not None:
        return settings.document_roots
    return () if settings.temporal_address else (Path("/"),)
