"""A call goes out when budgets, shared limits and the provider's circuit let it; all of them hear how it went."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar, cast

import structlog

from activities.guards.breaker import Permit, Rest
from activities.guards.budgets import Budget, Refused, Reserved
from activities.metrics import BUDGETS_NEARLY_SPENT, CIRCUIT_OPENED, LIMIT_WAIT_SECONDS, POSTPONED
from activities.models.replies import RawReply
from engross.contracts import ModelRef
from engross.errors import (
    AuthenticationFailed,
    BudgetExhausted,
    CircuitOpen,
    EngrossError,
    LimitReached,
    ProviderError,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    QuotaExhausted,
    RateLimited,
    ServiceUnavailable,
)

# What says that a provider is down. A bad request says nothing of the kind.
_TROUBLE: Final = (ProviderOverloaded, ProviderTimeout, ProviderUnreachable)
# What no second call will find otherwise, before somebody has put it right.
_HOPELESS: Final = (AuthenticationFailed, QuotaExhausted)
_WHY_OPEN: Final = {
    AuthenticationFailed.__name__: "refuses the key: correct it and restart the worker",
    QuotaExhausted.__name__: "has no credit left for this account: add some",
}

_log = structlog.get_logger(__name__)
_A = TypeVar("_A")
_B = TypeVar("_B")


class Limits(Protocol):
    """The part of the limits that calls need; see `activities.guards.limits`."""

    async def reserve(self, *, provider: str, model: str, tenant: str, tokens: int, reservation: str) -> float: ...

    async def settle(self, *, provider: str, model: str, tenant: str, reservation: str, tokens: int) -> None: ...

    async def pause(self, *, provider: str, model: str, seconds: float) -> None: ...


class Breaker(Protocol):
    """The part of the circuit breaker that calls need; see `activities.guards.breaker`."""

    async def allow(self, provider: str) -> Permit | Rest: ...

    async def success(self, provider: str, permit: Permit) -> None: ...

    async def failure(self, provider: str, permit: Permit, *, at_once: bool = False, cause: str = ...) -> bool: ...


class Budgets(Protocol):
    """The part of the budgets that calls need; see `activities.guards.budgets`."""

    async def reserve(
        self, budgets: Sequence[Budget], *, holder: str, attempt: str, amount_usd: Decimal
    ) -> Reserved | Refused: ...

    async def settle(
        self, budgets: Sequence[Budget], *, holder: str, cost_usd: Decimal | None
    ) -> tuple[Budget, ...]: ...

    async def release(self, budgets: Sequence[Budget], *, holder: str, maybe_billed: bool) -> tuple[Budget, ...]: ...


@dataclass(frozen=True)
class Terms:
    """What one attempt of a call may use at most, and on whose account.

    `holder` names one step through all its attempts, `attempt` counts them; `budgets` are empty when it costs nothing.
    """

    model: ModelRef
    tenant: str
    run_id: str
    holder: str
    attempt: int
    tokens: int
    most_usd: Decimal
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class Guarded:
    """Raises `BudgetExhausted`, `LimitReached` or `CircuitOpen` instead of making a call that must wait."""

    limits: Limits
    breaker: Breaker
    budgets: Budgets

    async def call(
        self, terms: Terms, call: Callable[[], Awaitable[RawReply]], cost: Callable[[RawReply], Decimal | None]
    ) -> tuple[RawReply, "asyncio.Task[tuple[Budget, ...]]"]:
        """`call`'s reply; `cost` is its price, None when unknown.

        The task tells the guards while the caller keeps the reply. It has to be awaited, and gives the budgets that
        are nearly spent with this call, each told once.
        """
        permit = await self._enter(terms)
        try:
            raw = await call()
        except asyncio.CancelledError:
            await _tell(self._spare(terms, maybe_billed=True))
            raise
        except EngrossError as error:
            maybe_billed = isinstance(error, ProviderError) and error.maybe_billed
            await _tell(
                self._failed(error, terms.model, permit),
                self._settle_limits(terms, terms.tokens if maybe_billed else 0),
                self._spare(terms, maybe_billed=maybe_billed),
            )
            raise
        return raw, asyncio.create_task(self._replied(terms, permit, raw, cost(raw)))

    async def pay(self, budgets: Sequence[Budget], holder: str, cost_usd: Decimal | None) -> tuple[Budget, ...]:
        """Settles what `holder` has reserved, in this attempt or in one that died before it could."""
        if not budgets:
            return ()
        return _warned(await self.budgets.settle(budgets, holder=holder, cost_usd=cost_usd))

    # --- before the call --------------------------------------------------------------------------------------------

    async def _enter(self, terms: Terms) -> Permit:
        try:
            held, wait = await _both(self._hold(terms), self.limits.reserve(**_about(terms), tokens=terms.tokens))
            self._check(terms, held, wait)
            return await self._ask_circuit(terms)
        except EngrossError:
            # What was not taken is not given back.
            await _tell(self._spare(terms, maybe_billed=False), self._settle_limits(terms, 0))
            raise

    async def _hold(self, terms: Terms) -> Reserved | Refused:
        if not terms.budgets:
            return Reserved()
        return await self.budgets.reserve(
            terms.budgets, holder=terms.holder, attempt=str(terms.attempt), amount_usd=terms.most_usd
        )

    def _check(self, terms: Terms, held: Reserved | Refused, wait: float) -> None:
        if isinstance(held, Refused):
            POSTPONED.labels(terms.model.provider, "budget").inc()
            raise BudgetExhausted(_spent(held, terms), held.seconds, held.budget.scope)
        if wait:
            POSTPONED.labels(terms.model.provider, "limit").inc()
            LIMIT_WAIT_SECONDS.labels(terms.model.provider).observe(wait)
            raise LimitReached(f"the limit of {terms.model} is used up for now", wait)

    async def _ask_circuit(self, terms: Terms) -> Permit:
        provider = terms.model.provider
        permit = await self.breaker.allow(provider)
        if isinstance(permit, Permit):
            return permit
        POSTPONED.labels(provider, "circuit").inc()
        why = _WHY_OPEN.get(permit.cause, "is down")
        raise CircuitOpen(f"{provider} {why}; it is tried again from time to time", permit.seconds, permit.cause)

    # --- after it ---------------------------------------------------------------------------------------------------

    async def _replied(
        self, terms: Terms, permit: Permit, raw: RawReply, cost_usd: Decimal | None
    ) -> tuple[Budget, ...]:
        used = raw.usage.input_tokens + raw.usage.output_tokens if raw.usage else terms.tokens
        *_, nearly_spent = await _tell(
            self.breaker.success(terms.model.provider, permit),
            self._settle_limits(terms, used),
            self.pay(terms.budgets, terms.holder, cost_usd),
        )
        return nearly_spent or ()

    async def _failed(self, error: EngrossError, model: ModelRef, permit: Permit) -> None:
        if isinstance(error, RateLimited):
            # What one worker is told holds for all of them.
            await self.limits.pause(provider=model.provider, model=model.model, seconds=error.retry_after or 0)
        if not isinstance(error, _TROUBLE + _HOPELESS):
            await self.breaker.success(model.provider, permit)
            return
        at_once = isinstance(error, _HOPELESS)
        if await self.breaker.failure(model.provider, permit, at_once=at_once, cause=error.type):
            CIRCUIT_OPENED.labels(model.provider).inc()
            _log.error("circuit opened", provider=model.provider, error=error.type, message=str(error))

    async def _settle_limits(self, terms: Terms, tokens: int) -> None:
        await self.limits.settle(**_about(terms), tokens=tokens)

    async def _spare(self, terms: Terms, *, maybe_billed: bool) -> None:
        if terms.budgets:
            _warned(await self.budgets.release(terms.budgets, holder=terms.holder, maybe_billed=maybe_billed))


def _warned(nearly_spent: tuple[Budget, ...]) -> tuple[Budget, ...]:
    for budget in nearly_spent:
        BUDGETS_NEARLY_SPENT.labels(budget.scope).inc()
        _log.warning("budget nearly spent", scope=budget.scope, name=budget.name, limit_usd=str(budget.limit_usd))
    return nearly_spent


def _about(terms: Terms) -> dict[str, str]:
    # An attempt of its own is a request of its own.
    reservation = f"{terms.holder}/{terms.attempt}"
    about = {"provider": terms.model.provider, "model": terms.model.model, "tenant": terms.tenant}
    return {**about, "reservation": reservation}


def _spent(refused: Refused, terms: Terms) -> str:
    scope, name = refused.budget.scope, refused.budget.name
    whose, target = {
        "run": ("this run", terms.run_id),
        "tenant": (f"tenant {name} for this month", f"--tenant {name}"),
        "day": ("today", "--day"),
    }[scope]
    return (
        f"the budget of {whose} does not cover this call, which may cost {_money(terms.most_usd)}:"
        f" {_money(refused.taken_usd)} of {_money(refused.limit_usd)} is used; raise it with"
        f" `engross budget raise {target} --by USD`, or cancel the run"
    )


def _money(usd: Decimal) -> str:
    return f"${usd.normalize():f}"


async def _both(first: Awaitable[_A], second: Awaitable[_B]) -> tuple[_A, _B]:
    """Both at once. When one of them fails the other has ended too, so that it can be taken back."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    for outcome in (one, other):
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("_A", one), cast("_B", other)


async def _tell(*news: Awaitable[Any]) -> list[Any]:
    """Tells all at once. How a call ended, perhaps paid for, comes before what the guards are told of it."""
    answers: list[Any] = []
    for told in await asyncio.gather(*news, return_exceptions=True):
        if isinstance(told, ServiceUnavailable):
            _log.warning("guards could not be told", error=str(told))
        elif isinstance(told, BaseException):
            raise told
        answers.append(None if isinstance(told, ServiceUnavailable) else told)
    return answers
