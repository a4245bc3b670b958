"""Calls go out when budgets, limits and circuit let them, and all of them hear the truth about how it went."""

import asyncio
from decimal import Decimal

import pytest

from activities.guards.breaker import Permit, Rest
from activities.guards.budgets import Budget, Refused
from activities.models.guarded import Guarded, Terms
from activities.models.replies import RawReply
from engross.contracts import ModelRef, Usage
from engross.errors import (
    AuthenticationFailed,
    BudgetExhausted,
    CircuitOpen,
    EngrossError,
    InvalidRequest,
    LimitReached,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    QuotaExhausted,
    RateLimited,
    ServiceUnavailable,
)
from tests.activities.fakes import OpenCircuit, OpenLimits, Purse
from tests.metrics import counted

TENANT = Budget("tenant", "acme", Decimal(5))
COST = Decimal("0.0003")
TERMS = Terms(
    model=ModelRef(provider="openai", model="m"),
    tenant="acme",
    run_id="invoice-acme-1",
    holder="r/1",
    attempt=1,
    tokens=100,
    most_usd=Decimal("0.001"),
    budgets=(TENANT,),
)


async def call(guarded: Guarded, error: BaseException | None = None, cost: Decimal | None = COST) -> list[int]:
    """Makes a call that may use 100 tokens and uses 30, or fails; gives the calls that went out."""
    made: list[int] = []

    async def provider() -> RawReply:
        made.append(1)
        if error:
            raise error
        usage = Usage(input_tokens=20, output_tokens=10)
        return RawReply(status=None, text="{}", model="m", finish_reason="stop", usage=usage)

    _, told = await guarded.call(TERMS, provider, lambda _: cost)
    await told
    return made


@pytest.mark.parametrize("cost", [COST, None])
async def test_a_reply_settles_what_it_used_and_counts_as_success(cost: Decimal | None) -> None:
    guarded = Guarded(limits := OpenLimits(), circuit := OpenCircuit(), purse := Purse())
    assert await call(guarded, cost=cost) == [1]
    assert (limits.settled, circuit.outcomes, purse.told) == ([30], ["success"], [cost])


async def test_a_limit_says_how_long_to_wait_and_nothing_goes_out() -> None:
    with counted() as grown, pytest.raises(LimitReached) as caught:
        await call(Guarded(OpenLimits(wait=7.5), circuit := OpenCircuit(), purse := Purse()))
    assert (caught.value.seconds, circuit.outcomes, purse.told) == (7.5, [], ["not billed"])
    assert grown == {
        "engross_calls_postponed_total{provider=openai,why=limit}": 1,
        "engross_limit_wait_seconds_count{provider=openai}": 1,
    }


@pytest.mark.parametrize(
    ("cause", "words"),
    [("ProviderOverloaded", "is down"), ("AuthenticationFailed", "refuses the key"), ("QuotaExhausted", "no credit")],
)
async def test_an_open_circuit_gives_tokens_and_money_back(cause: str, words: str) -> None:
    with pytest.raises(CircuitOpen, match=words) as caught:
        await call(Guarded(limits := OpenLimits(), OpenCircuit(Rest(30, cause)), purse := Purse()))
    assert (caught.value.seconds, caught.value.cause) == (30, cause)
    assert (limits.settled, purse.told) == ([0], ["not billed"])


@pytest.mark.parametrize(
    ("budget", "seconds", "command"),
    [
        (Budget("run", "account", Decimal(5)), None, "engross budget raise invoice-acme-1 --by USD"),
        (TENANT, 3600.0, "engross budget raise --tenant acme --by USD"),
        (Budget("day", "", Decimal(5)), 60.0, "engross budget raise --day --by USD"),
    ],
)
async def test_a_spent_budget_says_who_must_do_what(budget: Budget, seconds: float | None, command: str) -> None:
    refusal = Refused(budget, limit_usd=Decimal("5.50"), taken_usd=Decimal("5.4995"), seconds=seconds)
    with pytest.raises(BudgetExhausted) as caught:
        await call(Guarded(limits := OpenLimits(), OpenCircuit(), Purse(refusal)))
    assert (caught.value.seconds, limits.settled) == (seconds, [0])
    assert command in str(caught.value)
    assert "may cost $0.001: $5.4995 of $5.5 is used" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "outcome", "settled", "money"),
    [
        (ProviderOverloaded("HTTP 529"), "failure", 0, "not billed"),
        (ProviderTimeout("lost"), "failure", 100, "maybe billed"),
        (ProviderUnreachable("no connection"), "failure", 0, "not billed"),
        (ProviderUnreachable("broke", maybe_billed=True), "failure", 100, "maybe billed"),
        (AuthenticationFailed("key"), "open: AuthenticationFailed", 0, "not billed"),
        (QuotaExhausted("no credit"), "open: QuotaExhausted", 0, "not billed"),
        (RateLimited("slow down", 9), "success", 0, "not billed"),
        (InvalidRequest("HTTP 400"), "success", 0, "not billed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_only_a_provider_in_trouble_counts_against_its_circuit(
    error: EngrossError, outcome: str, settled: int, money: str
) -> None:
    guarded = Guarded(limits := OpenLimits(), circuit := OpenCircuit(), purse := Purse())
    with pytest.raises(type(error)):
        await call(guarded, error)
    assert (circuit.outcomes, limits.settled, purse.told) == ([outcome], [settled], [money])


async def test_a_call_that_is_cancelled_may_have_been_billed() -> None:
    with pytest.raises(asyncio.CancelledError):
        await call(Guarded(OpenLimits(), OpenCircuit(), purse := Purse()), asyncio.CancelledError())
    assert purse.told == ["maybe billed"]


async def test_a_cancellation_is_not_hidden_by_a_redis_that_cannot_be_told() -> None:
    class Deaf(Purse):
        async def release(self, *arguments: object, **more: object) -> tuple[Budget, ...]:
            raise ServiceUnavailable("Redis does not answer")

    with pytest.raises(asyncio.CancelledError):
        await call(Guarded(OpenLimits(), OpenCircuit(), Deaf()), asyncio.CancelledError())


async def test_what_one_worker_is_told_to_wait_holds_for_all() -> None:
    guarded = Guarded(limits := OpenLimits(), OpenCircuit(), Purse())
    with pytest.raises(RateLimited):
        await call(guarded, RateLimited("slow down", 9))
    assert limits.pauses == [9]


async def test_a_budget_that_is_nearly_spent_is_told() -> None:
    guarded = Guarded(OpenLimits(), OpenCircuit(), Purse(nearly=(TENANT,)))

    async def provider() -> RawReply:
        return RawReply(status=None, text="{}", model="m", finish_reason="stop", usage=Usage(input_tokens=1))

    _, told = await guarded.call(TERMS, provider, lambda _: COST)
    assert await told == (TENANT,)


async def test_a_failure_is_not_hidden_by_a_redis_that_cannot_be_told() -> None:
    class Deaf(OpenCircuit):
        async def failure(self, provider: str, permit: Permit, *, at_once: bool = False, cause: str = "") -> bool:
            raise ServiceUnavailable("Redis does not answer")

    with pytest.raises(ProviderTimeout):
        await call(Guarded(OpenLimits(), Deaf(), purse := Purse()), ProviderTimeout("lost"))
    assert purse.told == ["maybe billed"]


async def test_a_reply_is_not_lost_with_a_redis_that_cannot_be_told() -> None:
    class Deaf(OpenCircuit):
        async def success(self, provider: str, permit: Permit) -> None:
            raise ServiceUnavailable("Redis does not answer")

    assert await call(Guarded(OpenLimits(), Deaf(), Purse())) == [1]
