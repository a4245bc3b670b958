"""The composition root: the one place that builds clients and stores and hands them to activities."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio as redis

from activities.checks.repair import Repairs
from activities.documents.pool import ParserPool
from activities.guards.breaker import Breaker
from activities.guards.limits import Limit, Limits
from activities.prepare import Preparation
from activities.sources import Sources
from activities.storage.blobs import BlobStore
from activities.storage.results import ResultStore
from activities.store import Storing
from engross.catalog import Catalog, load_catalog
from engross.endpoints import Endpoints
from engross.errors import ConfigurationError
from engross.names import DOCUMENTS_QUEUE, LOCAL, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from engross.routes import parse_limits, parse_prices
from engross.settings import Settings
from workers.redis_access import LEASE_SECONDS, open_budgets, open_completions, open_redis
from workflows.chain import Chain

if TYPE_CHECKING:  # see `_model_activities`
    from activities.models.providers import ModelCall, Provider
    from activities.models.replies import RawReply

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
                shared = _Shared(settings, endpoints, catalog, blobs, cache)
                activities[queue] = _model_activities(shared, provider, stack)
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


@dataclass(frozen=True)
class _Shared:
    """What the workers of every provider have in common."""

    settings: Settings
    endpoints: Endpoints
    catalog: Catalog
    blobs: BlobStore
    redis: redis.Redis


def _model_activities(shared: _Shared, provider: str, stack: AsyncExitStack) -> Sequence[Callable[..., Any]]:
    # Provider libraries take seconds to import and hold the keys: only workers that call models load them.
    from activities.models.ask import Models
    from activities.models.guarded import Guarded
    from activities.models.paid import PaidOnce
    from activities.models.preflight import Caps, Preflight
    from activities.models.prices import Prices
    from activities.models.providers import AnthropicProvider, OpenAIProvider, Provider

    settings = shared.settings
    key, address = provider_access(settings, shared.endpoints, provider)
    seconds = settings.model_timeout_seconds
    speaks = AnthropicProvider if provider == "anthropic" else OpenAIProvider
    client: Provider = speaks(api_key=key, base_url=address, seconds=seconds)
    if provider == LOCAL and address == settings.embedded_local:
        client = _OneAtATime(client)
    stack.push_async_callback(client.close)
    for job in shared.catalog.jobs.values():
        for step in job.steps:
            step.output.model_json_schema()
    paid = PaidOnce(
        open_completions(settings, shared.redis),
        seconds=seconds,
        lease_seconds=LEASE_SECONDS,
        cache_seconds=round(settings.cache_days * 24 * 3600),
    )
    guarded = Guarded(
        limits=Limits(
            shared.redis,
            {name: Limit(*rates) for name, rates in parse_limits(settings.limits).items()},
            tenant_tokens_per_minute=settings.tenant_tokens_per_minute,
        ),
        breaker=Breaker(shared.redis, probe_seconds=seconds + LEASE_SECONDS),
        budgets=open_budgets(settings, shared.redis),
    )
    caps = Caps(
        call_usd=settings.call_ceiling_usd, tenant_usd=settings.budget_tenant_usd, day_usd=settings.budget_day_usd
    )
    models = Models(
        catalog=shared.catalog,
        blobs=shared.blobs,
        providers={provider: client},
        paid=paid,
        guarded=guarded,
        preflight=Preflight(Prices(parse_prices(settings.prices)), caps),
    )
    return (models.ask_model,)


class _OneAtATime:
    """Calls `provider` one by one: the local model takes them so, and to wait there would use up a call's time."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._turn = asyncio.Lock()

    async def call(self, call: "ModelCall") -> "RawReply":
        async with self._turn:
            return await self._provider.call(call)

    async def close(self) -> None:
        await self._provider.close()


def provider_access(settings: Settings, endpoints: Endpoints, provider: str) -> tuple[str, str | None]:
    """Key and address of a provider; those of the stand-in when no provider is set up at all."""
    if provider == LOCAL and not settings.uses(LOCAL):
        raise ConfigurationError("no local model: run `engross up --local-model`, or set ENGROSS_LOCAL_BASE_URL")
    if settings.needs_stand_in:
        if endpoints.stand_in is None:
            raise ConfigurationError(
                "no provider: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or run `engross up` for the stand-in"
            )
        return "stand-in", endpoints.stand_in + ("/v1" if provider == "openai" else "")
    key, address = settings.key(provider), settings.address(provider)
    if key is None and address is None:
        raise ConfigurationError(f"no key for {provider}: set {provider.upper()}_API_KEY")
    # Servers at an address of yours often want no key; the SDKs refuse to start without one.
    return (key.get_secret_value() if key else "none"), address
