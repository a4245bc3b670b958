"""Calls go out when limits and circuit let them, and both hear the truth about how it went."""

import pytest

from activities.guards.breaker import Permit
from activities.models.guarded import Guarded
from activities.models.replies import RawReply
from engross.contracts import ModelRef, Usage
from engross.errors import (
    AuthenticationFailed,
    CircuitOpen,
    EngrossError,
    InvalidRequest,
    LimitReached,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    ServiceUnavailable,
)
from tests.activities.fakes import OpenCircuit, OpenLimits


async def call(guarded: Guarded, error: EngrossError | None = None) -> list[int]:
    """Makes a call that may use 100 tokens and uses 30, or fails; gives the calls that went out."""
    made: list[int] = []

    async def provider() -> RawReply:
        made.append(1)
        if error:
            raise error
        usage = Usage(input_tokens=20, output_tokens=10)
        return RawReply(status=None, text="{}", model="m", finish_reason="stop", usage=usage)

    model = ModelRef(provider="openai", model="m")
    await guarded.call(model, tenant="acme", tokens=100, reservation="r", call=provider)
    return made


async def test_a_reply_settles_what_it_used_and_counts_as_success() -> None:
    guarded = Guarded(limits := OpenLimits(), circuit := OpenCircuit())
    assert await call(guarded) == [1]
    assert (limits.settled, circuit.outcomes) == ([30], ["success"])


async def test_a_limit_says_how_long_to_wait_and_nothing_goes_out() -> None:
    with pytest.raises(LimitReached) as caught:
        await call(Guarded(OpenLimits(wait=7.5), circuit := OpenCircuit()))
    assert (caught.value.seconds, circuit.outcomes) == (7.5, [])


async def test_an_open_circuit_gives_the_tokens_back() -> None:
    with pytest.raises(CircuitOpen) as caught:
        await call(Guarded(limits := OpenLimits(), OpenCircuit(wait=30)))
    assert (caught.value.seconds, limits.settled) == (30, [0])


@pytest.mark.parametrize(
    ("error", "outcome", "settled"),
    [
        (ProviderOverloaded("HTTP 529"), "failure", 0),
        (ProviderTimeout("lost"), "failure", 100),
        (ProviderUnreachable("no connection"), "failure", 0),
        (ProviderUnreachable("broke", maybe_billed=True), "failure", 100),
        (AuthenticationFailed("key"), "success", 0),
        (RateLimited("slow down", 9), "success", 0),
        (InvalidRequest("HTTP 400"), "success", 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_only_a_provider_in_trouble_counts_against_its_circuit(
    error: EngrossError, outcome: str, settled: int
) -> None:
    guarded = Guarded(limits := OpenLimits(), circuit := OpenCircuit())
    with pytest.raises(type(error)):
        await call(guarded, error)
    assert (circuit.outcomes, limits.settled) == ([outcome], [settled])


async def test_what_one_worker_is_told_to_wait_holds_for_all() -> None:
    guarded = Guarded(limits := OpenLimits(), OpenCircuit())
    with pytest.raises(RateLimited):
        await call(guarded, RateLimited("slow down", 9))
    assert limits.pauses == [9]


async def test_a_failure_is_not_hidden_by_a_redis_that_cannot_be_told() -> None:
    class Deaf(OpenCircuit):
        async def failure(self, provider: str, permit: Permit) -> bool:
            raise ServiceUnavailable("Redis does not answer")

    with pytest.raises(ProviderTimeout):
        await call(Guarded(OpenLimits(), Deaf()), ProviderTimeout("lost"))
