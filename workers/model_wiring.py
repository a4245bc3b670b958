"""The composition root's part with the keys: provider clients, and all that stands between them and a step.

Provider libraries take seconds to import, so only workers that call models import this module, and it imports only the
library of the provider that is called. (instructor builds Anthropic's requests with a part of OpenAI's library.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import instructor
import redis.asyncio as redis
from pydantic import BaseModel

from activities.guards.breaker import Breaker
from activities.guards.limits import Limit, Limits
from activities.models.ask import Models
from activities.models.forms import anthropic_form, openai_form
from activities.models.guarded import Guarded
from activities.models.paid import PaidOnce
from activities.models.preflight import Caps, Preflight
from activities.models.prices import Prices
from activities.models.providers import ModelCall, Provider
from activities.models.replies import RawReply
from activities.models.tokens import count_tokens
from activities.storage.blobs import BlobStore
from engross.catalog import Catalog
from engross.endpoints import Endpoints
from engross.names import LOCAL
from engross.routes import parse_limits, parse_prices
from engross.settings import Settings
from workers.provider_access import provider_access
from workers.redis_access import LEASE_SECONDS, open_budgets, open_completions

# What the libraries put off until they are used; a test with a real worker watches that nothing is missing.
_LOADED_BY_CALLS: Final = ("anyio._backends._asyncio", "genai_prices.data", "genai_prices.data_units")
_LOADED_BY_CALLS_OF: Final = {
    "openai": ("openai.resources.chat",),
    "anthropic": ("opentelemetry.propagate",),
}


@dataclass(frozen=True)
class Shared:
    """What the workers of every provider have in common."""

    settings: Settings
    endpoints: Endpoints
    catalog: Catalog
    blobs: BlobStore
    redis: redis.Redis


@dataclass(frozen=True)
class ModelActivities:
    """The activities of a provider's queue; `close` closes its client."""

    activities: Sequence[Callable[..., Any]]
    close: Callable[[], Awaitable[None]]


def model_activities(shared: Shared, provider: str) -> ModelActivities:
    """The activities of `provider`'s queue, with all that they use loaded: the first call must find nothing to do."""
    settings = shared.settings
    client = _client(shared, provider)
    _warm(provider, shared.catalog)
    paid = PaidOnce(
        open_completions(settings, shared.redis),
        seconds=settings.model_timeout_seconds,
        lease_seconds=LEASE_SECONDS,
        cache_seconds=round(settings.cache_days * 24 * 3600),
    )
    models = Models(
        catalog=shared.catalog,
        blobs=shared.blobs,
        providers={provider: client},
        paid=paid,
        guarded=_guarded(settings, shared.redis),
        preflight=_preflight(settings),
    )
    return ModelActivities((models.ask_model,), client.close)


def _client(shared: Shared, provider: str) -> Provider:
    settings = shared.settings
    key, address = provider_access(settings, shared.endpoints, provider)
    seconds = settings.model_timeout_seconds
    if _library(provider) == "anthropic":
        from activities.models.anthropic_wire import AnthropicProvider

        return AnthropicProvider(api_key=key, base_url=address, seconds=seconds)
    from activities.models.openai_wire import OpenAIProvider

    client = OpenAIProvider(api_key=key, base_url=address, seconds=seconds, name=provider)
    if provider == LOCAL and address == settings.embedded_local:
        return _OneAtATime(client)
    return client


def _warm(provider: str, catalog: Catalog) -> None:
    """Does what the first call would otherwise wait for."""
    for module in _LOADED_BY_CALLS + _LOADED_BY_CALLS_OF[_library(provider)]:
        import_module(module)
    count_tokens("")
    for job in catalog.jobs.values():
        for step in job.steps:
            _build_form(provider, step.output)


def _library(provider: str) -> str:
    # Servers of yours speak OpenAI's protocol.
    return "anthropic" if provider == "anthropic" else "openai"


def _build_form(provider: str, output: type[BaseModel]) -> None:
    # Arguments as the call gives them: what is built is found by them.
    if _library(provider) == "anthropic":
        anthropic_form(output)
    else:
        openai_form(output, instructor.Mode.TOOLS)


def _guarded(settings: Settings, client: redis.Redis) -> Guarded:
    limits = Limits(
        client,
        {name: Limit(*rates) for name, rates in parse_limits(settings.limits).items()},
        tenant_tokens_per_minute=settings.tenant_tokens_per_minute,
    )
    breaker = Breaker(client, probe_seconds=settings.model_timeout_seconds + LEASE_SECONDS)
    return Guarded(limits=limits, breaker=breaker, budgets=open_budgets(settings, client))


def _preflight(settings: Settings) -> Preflight:
    caps = Caps(
        call_usd=settings.call_ceiling_usd, tenant_usd=settings.budget_tenant_usd, day_usd=settings.budget_day_usd
    )
    return Preflight(Prices(parse_prices(settings.prices)), caps)


class _OneAtATime:
    """Calls `provider` one by one: the local model takes them so, and to wait there would use up a call's time."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._turn = asyncio.Lock()

    async def call(self, call: ModelCall) -> RawReply:
        async with self._turn:
            return await self._provider.call(call)

    async def close(self) -> None:
        await self._provider.close()
