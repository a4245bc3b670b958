"""A call goes out when the shared limits and the provider's circuit let it; both hear how it went."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from activities.guards.breaker import Permit
from activities.metrics import CIRCUIT_OPENED, POSTPONED
from activities.models.replies import RawReply
from engross.contracts import ModelRef
from engross.errors import (
    CircuitOpen,
    EngrossError,
    LimitReached,
    ProviderError,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    ServiceUnavailable,
)

# What says that a provider is down. A refused key or a bad request says nothing of the kind.
_TROUBLE: Final = (ProviderOverloaded, ProviderTimeout, ProviderUnreachable)

_log = structlog.get_logger(__name__)


class Limits(Protocol):
    """The part of the limits that calls need; see `activities.guards.limits`."""

    async def reserve(self, *, provider: str, model: str, tenant: str, tokens: int, reservation: str) -> float: ...

    async def settle(self, *, provider: str, model: str, tenant: str, reservation: str, tokens: int) -> None: ...

    async def pause(self, *, provider: str, model: str, seconds: float) -> None: ...


class Breaker(Protocol):
    """The part of the circuit breaker that calls need; see `activities.guards.breaker`."""

    async def allow(self, provider: str) -> Permit | float: ...

    async def success(self, provider: str, permit: Permit) -> None: ...

    async def failure(self, provider: str, permit: Permit) -> bool: ...


@dataclass(frozen=True)
class Guarded:
    """Raises `LimitReached` or `CircuitOpen`, with the seconds to wait, instead of making a call that must wait."""

    limits: Limits
    breaker: Breaker

    async def call(
        self,
        model: ModelRef,
        *,
        tenant: str,
        tokens: int,
        reservation: str,
        call: Callable[[], Awaitable[RawReply]],
    ) -> RawReply:
        """`call`'s reply. `tokens` is what it may use at most; `reservation` names this one attempt."""
        about = {"provider": model.provider, "model": model.model, "tenant": tenant, "reservation": reservation}
        wait = await self.limits.reserve(**about, tokens=tokens)
        if wait:
            POSTPONED.labels(model.provider, "limit").inc()
            raise LimitReached(f"the limit of {model} is used up for now", wait)
        permit = await self.breaker.allow(model.provider)
        if not isinstance(permit, Permit):
            await self.limits.settle(**about, tokens=0)
            POSTPONED.labels(model.provider, "circuit").inc()
            raise CircuitOpen(f"{model.provider} is down; it is tried again from time to time", permit)
        try:
            raw = await call()
        except EngrossError as error:
            with _first_things_first():
                await self._failed(error, model, permit)
                maybe_billed = isinstance(error, ProviderError) and error.maybe_billed
                await self.limits.settle(**about, tokens=tokens if maybe_billed else 0)
            raise
        with _first_things_first():
            await self.breaker.success(model.provider, permit)
            used = raw.usage.input_tokens + raw.usage.output_tokens if raw.usage else tokens
            await self.limits.settle(**about, tokens=used)
        return raw

    async def _failed(self, error: EngrossError, model: ModelRef, permit: Permit) -> None:
        if isinstance(error, RateLimited):
            # What one worker is told holds for all of them.
            await self.limits.pause(provider=model.provider, model=model.model, seconds=error.retry_after or 0)
        if not isinstance(error, _TROUBLE):
            await self.breaker.success(model.provider, permit)
        elif await self.breaker.failure(model.provider, permit):
            CIRCUIT_OPENED.labels(model.provider).inc()
            _log.error("circuit opened", provider=model.provider, error=error.type)


@contextmanager
def _first_things_first() -> Iterator[None]:
    """How a call ended, perhaps paid for, comes before what the guards are told of it."""
    try:
        yield
    except ServiceUnavailable as error:
        _log.warning("guards could not be told", error=str(error))
