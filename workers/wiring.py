"""The composition root: the one place that builds clients and stores and hands them to activities."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis

from activities.checks.repair import Repairs
from activities.documents.pool import ParserPool
from activities.prepare import Preparation
from activities.sources import Sources
from activities.storage.blobs import BlobStore
from activities.storage.results import ResultStore
from activities.store import Storing
from engross.catalog import Catalog, load_catalog
from engross.endpoints import Endpoints
from engross.errors import ConfigurationError
from engross.names import DOCUMENTS_QUEUE, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from engross.settings import Settings
from workers.redis_access import open_redis
from workflows.chain import Chain

WORKFLOWS: Final[tuple[type, ...]] = (Chain,)
_STOOD_IN_FOR: Final = ("openai", "anthropic")


@dataclass(frozen=True)
class Wiring:
    """What one worker process holds. `activities` by task queue; an empty list means workflows only."""

    catalog: Catalog
    blobs: BlobStore
    results: ResultStore
    redis: redis.Redis
    activities: Mapping[str, Sequence[Callable[..., Any]]]


def default_queues(settings: Settings) -> tuple[str, ...]:
    """All queues that this installation can serve: those of a provider only when its key or address is set."""
    ready = _STOOD_IN_FOR if settings.needs_stand_in else [name for name in PROVIDERS if settings.uses(name)]
    return (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *map(models_queue, ready))


def check_queues(queues: Sequence[str]) -> None:
    """Raises `ConfigurationError` for a queue that no worker knows."""
    known = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *map(models_queue, PROVIDERS))
    for queue in queues:
        if queue not in known:
            raise ConfigurationError(f"no task queue is called {queue!r}; there are {', '.join(known)}")


@asynccontextmanager
async def wire(settings: Settings, endpoints: Endpoints, queues: Sequence[str]) -> AsyncIterator[Wiring]:
    """Builds and warms what `queues` need, and closes it at the end."""
    catalog = load_catalog(settings.jobs_path)
    async with AsyncExitStack() as stack:
        blobs = BlobStore.open(settings.blobs_url)
        results = ResultStore.open(settings.results_url)
        stack.push_async_callback(results.close)
        await results.start()
        cache = await stack.enter_async_context(open_redis(settings, endpoints.redis))
        activities: dict[str, Sequence[Callable[..., Any]]] = {}
        for queue in queues:
            if queue == WORKFLOWS_QUEUE:
                activities[queue] = ()
            elif queue == DOCUMENTS_QUEUE:
                parsers = await stack.enter_async_context(_parsers(settings))
                activities[queue] = _document_activities(settings, catalog, blobs, results, parsers)
            else:
                provider = queue.removeprefix(models_queue(""))
                from workers.model_wiring import Shared, model_activities  # takes seconds: see there

                shared = Shared(settings, endpoints, catalog, blobs, cache)
                activities[queue] = model_activities(shared, provider, stack)
        yield Wiring(catalog=catalog, blobs=blobs, results=results, redis=cache, activities=activities)


def _parsers(settings: Settings) -> ParserPool:
    return ParserPool(size=settings.parsers, seconds=settings.parser_seconds, memory_mb=settings.parser_memory_mb)


def _document_activities(
    settings: Settings, catalog: Catalog, blobs: BlobStore, results: ResultStore, parsers: ParserPool
) -> Sequence[Callable[..., Any]]:
    sources = Sources(blobs=blobs, roots=document_roots(settings), max_mb=settings.max_document_mb)
    preparation = Preparation(
        catalog=catalog,
        blobs=blobs,
        sources=sources,
        parsers=parsers,
        routes=settings.routes,
        budget_usd=settings.budget_run_usd,
    )
    repairs = Repairs(catalog=catalog, blobs=blobs, parsers=parsers)
    storing = Storing(blobs=blobs, results=results)
    return (preparation.prepare, repairs.repair_answer, storing.store_answer)


def document_roots(settings: Settings) -> tuple[Path, ...]:
    """The folders that `file:///` reads from.

    With the embedded stack, whoever can start a run is the user of this machine. With a Temporal server of yours
    it can be anybody, so nothing is readable until it is named.
    """
    if settings.document_roots is not None:
        return settings.document_roots
    return () if settings.temporal_address else (Path("/"),)
