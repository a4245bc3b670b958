"""The limiter against a real server: what passes, what waits, and what a crash leaves behind.

60,000 a minute is 1,000 a second, so tests see buckets refill without waiting for minutes.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Mapping

import pytest
import redis.asyncio

from activities.guards.limits import Limit, Limits
from engross.errors import ServiceUnavailable
from tests.valkey import Valkey, make_client

SEED = 20240229
MINUTE = 60.0
PER_MINUTE = 60_000
PER_SECOND = PER_MINUTE / MINUTE
DEADLINE = 15.0
TOKENS = {"openai:m": Limit(tokens_per_minute=PER_MINUTE)}


async def reserve(
    limits: Limits, tokens: int, reservation: str, *, provider: str = "openai", model: str = "m", tenant: str = "acme"
) -> float:
    return await limits.reserve(provider=provider, model=model, tenant=tenant, tokens=tokens, reservation=reservation)


async def settle(limits: Limits, tokens: int, reservation: str) -> None:
    await limits.settle(provider="openai", model="m", tenant="acme", reservation=reservation, tokens=tokens)


async def reserved(limits: Limits, tokens: int, reservation: str) -> float:
    """Reserves as a worker does, waiting as told; returns the seconds that took."""
    started = time.monotonic()
    while wait := await reserve(limits, tokens, reservation):
        assert time.monotonic() - started < DEADLINE, f"still told to wait {wait} s"
        await asyncio.sleep(wait)
    return time.monotonic() - started


@pytest.fixture
async def clients(valkey: Valkey, redis_client: redis.asyncio.Redis) -> AsyncIterator[tuple[redis.asyncio.Redis, ...]]:
    opened = tuple(make_client(valkey.url) for _ in range(5))
    yield opened
    for client in opened:
        await client.aclose()


def workers(clients: tuple[redis.asyncio.Redis, ...], limits: Mapping[str, Limit]) -> tuple[Limits, ...]:
    return tuple(Limits(client, limits) for client in clients)


# --- what passes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [Limit(requests_per_minute=50), Limit(tokens_per_minute=5_000)])
async def test_many_workers_together_stay_within_the_limit(
    clients: tuple[redis.asyncio.Redis, ...], limit: Limit
) -> None:
    shared = workers(clients, {"openai:m": limit})
    started = time.monotonic()

    waits = await asyncio.gather(*(reserve(shared[n % 5], 100, f"r{n}") for n in range(200)))

    refilled = (time.monotonic() - started) * 50 / MINUTE
    assert 50 <= waits.count(0.0) <= 50 + refilled


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
async def test_random_traffic_never_exceeds_the_limit_over_any_window(
    clients: tuple[redis.asyncio.Redis, ...], seed: int
) -> None:
    print(f"seed {seed}")  # noqa: T201 - for whoever repeats it
    random_ = random.Random(seed)  # noqa: S311 - not a secret
    shared = workers(clients, TOKENS)
    passed: list[tuple[float, float, int]] = []
    end = time.monotonic() + 1.5

    async def worker(number: int) -> None:
        for n in range(10_000):
            tokens, before = random_.randint(1, 3_000), time.monotonic()
            if before > end:
                return
            wait = await reserve(shared[number % 5], tokens, f"{number}-{n}")
            if wait == 0.0:
                passed.append((before, time.monotonic(), tokens))
            else:
                await asyncio.sleep(min(wait, random_.uniform(0, 0.05)))

    await asyncio.gather(*(worker(number) for number in range(20)))

    starts, ends = sorted(start for start, _, _ in passed), sorted(end for _, end, _ in passed)
    worst = -math.inf
    for since in starts[::3]:
        for until in ends[::3]:
            total = sum(tokens for start, finish, tokens in passed if since <= start and finish <= until)
            worst = max(worst, total - PER_MINUTE - PER_SECOND * max(until - since, 0))
    total = sum(tokens for _, _, tokens in passed)
    print(f"N {len(passed)}, {total} tokens passed, nearest to the limit {-worst:.0f}")  # noqa: T201
    assert worst <= 0
    assert total > PER_MINUTE  # all of the bucket and some of the refill: the limit was reached


async def test_after_the_wait_told_there_is_room(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, PER_MINUTE, "first") == 0.0

    wait = await reserve(limits, 300, "second")

    assert 0.2 < wait <= 0.3
    await asyncio.sleep(wait + 0.005)
    assert await reserve(limits, 300, "second") == 0.0


async def test_nothing_is_taken_from_any_bucket_by_one_who_must_wait(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(
        redis_client,
        {"openai:m": Limit(requests_per_minute=2, tokens_per_minute=PER_MINUTE)},
        tenant_tokens_per_minute=50,
    )
    assert await reserve(limits, 50, "a", tenant="small") == 0.0
    for n in range(5):
        assert await reserve(limits, 50, f"b{n}", tenant="small") > 1

    assert await reserve(limits, 50, "c", tenant="other") == 0.0  # the second of two requests is still there


async def test_those_who_wait_are_told_different_times(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {"openai:m": Limit(requests_per_minute=6)})
    for n in range(6):
        assert await reserve(limits, 1, f"full{n}") == 0.0

    waits = [await reserve(limits, 1, f"late{n}") for n in range(20)]

    for n, wait in enumerate(waits[:6]):
        assert 10 * n < wait <= 10 * (n + 1)
    assert max(waits) <= 70  # then it begins again, or one would wait for those who left
    assert len(set(waits)) == 20


async def test_a_queue_is_served_at_the_rate_with_few_questions(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, PER_MINUTE, "all") == 0.0
    questions = 0

    async def worker(number: int) -> None:
        nonlocal questions
        while wait := await reserve(limits, 20, f"w{number}"):
            questions += 1
            await asyncio.sleep(wait)

    started = time.monotonic()
    await asyncio.wait_for(asyncio.gather(*(worker(number) for number in range(50))), DEADLINE)

    print(f"50 waiters were told to wait {questions} times in {time.monotonic() - started:.2f} s")  # noqa: T201
    assert time.monotonic() - started >= 0.9  # 50 * 20 tokens at 1,000 a second
    assert questions <= 150


async def test_more_than_a_minutes_worth_passes_when_the_bucket_is_full(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 200, "small") == 0.0

    assert await reserve(limits, 3 * PER_MINUTE, "huge") > 0
    assert await reserved(limits, 3 * PER_MINUTE, "huge") < 5

    assert 115 < await reserve(limits, 1, "next") <= 120.001  # the debt is paid back


async def test_one_reservation_is_charged_once(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {"openai:m": Limit(requests_per_minute=2, tokens_per_minute=PER_MINUTE)})

    waits = await asyncio.gather(*(reserve(limits, 40_000, "same") for _ in range(20)))

    assert waits == [0.0] * 20
    assert await reserve(limits, 20_000, "other") == 0.0
    assert await reserve(limits, 20_000, "third") > 1


async def test_tenants_and_models_have_their_own(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {"openai": Limit(requests_per_minute=4)}, tenant_tokens_per_minute=1_000)
    assert await reserve(limits, 1_000, "a", tenant="acme") == 0.0

    assert await reserve(limits, 1_000, "b", tenant="acme") > 1
    assert await reserve(limits, 1_000, "c", tenant="globex") == 0.0
    assert await reserve(limits, 1_000, "d", tenant="acme", model="n") > 1  # whatever the model
    for n in range(4):
        assert await reserve(limits, 0, f"n{n}", model="n") == 0.0  # the fallback, but not shared with `m`
    assert await reserve(limits, 0, "n4", model="n") > 1


async def test_the_next_model_on_a_route_is_charged_for_the_same_call(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {"openai": Limit(requests_per_minute=1)})
    for model in ("m", "n"):
        assert await reserve(limits, 1, "call", model=model) == 0.0

    assert await reserve(limits, 1, "other", model="n") > 1


async def test_without_limits_everything_passes_and_nothing_is_kept(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {})

    assert await reserve(limits, 10**9, "a") == 0.0
    await settle(limits, 10**9, "a")

    assert await redis_client.dbsize() == 0


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_limit_that_nothing_passes_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limit(requests_per_minute=wrong)
    with pytest.raises(ValueError, match="at least 1"):
        Limit(tokens_per_minute=wrong)


# --- settling ---------------------------------------------------------------------------------------------------


async def test_settling_gives_back_what_was_not_used_once(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 40_000, "a") == 0.0
    assert await reserve(limits, 20_000, "b") == 0.0

    for _ in range(3):
        await settle(limits, 10_000, "a")

    assert await reserve(limits, 30_000, "c") == 0.0
    assert await reserve(limits, 10_000, "d") > 5


async def test_settling_charges_what_was_used_beyond(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 10_000, "a") == 0.0

    for _ in range(3):
        await settle(limits, 70_000, "a")

    assert 5 < await reserve(limits, 1, "b") <= 10.001  # 10,000 in debt, once


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
async def test_what_is_really_used_stays_within_the_limit(clients: tuple[redis.asyncio.Redis, ...], seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - for whoever repeats it
    random_ = random.Random(seed)  # noqa: S311 - not a secret
    shared = workers(clients, TOKENS)
    used: list[int] = []
    started = time.monotonic()

    async def worker(number: int) -> None:
        for n in range(10_000):
            if time.monotonic() > started + 1:
                return
            name, tokens = f"{number}-{n}", random_.randint(1, 8_000)
            if await reserve(shared[number % 5], tokens, name) == 0.0:
                used.append(random_.randint(0, tokens))
                for _ in range(random_.choice([1, 1, 2])):
                    await settle(random_.choice(shared), used[-1], name)
            else:
                await asyncio.sleep(random_.uniform(0, 0.05))

    await asyncio.gather(*(worker(number) for number in range(20)))

    allowed = PER_MINUTE + PER_SECOND * (time.monotonic() - started)
    print(f"N {len(used)}, {sum(used)} tokens used of {allowed:.0f}")  # noqa: T201
    assert PER_MINUTE * 0.9 < sum(used) <= allowed


async def test_a_settled_reservation_is_charged_when_made_again(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    for _ in range(2):
        assert await reserve(limits, 30_000, "a") == 0.0
        await settle(limits, 30_000, "a")

    assert await reserve(limits, 30_000, "a") > 1


async def test_what_was_used_beyond_is_charged_however_late(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 500, "slow") == 0.0
    await reserved(limits, PER_MINUTE, "everything")

    await settle(limits, 10_500, "slow")

    assert 5 < await reserve(limits, 1, "next") <= 10.001


async def test_settling_what_is_not_held_changes_nothing(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, PER_MINUTE, "a") == 0.0

    await settle(limits, 0, "unknown")
    await settle(limits, 10**6, "unknown")

    assert 0.8 < await reserve(limits, 1_000, "b") <= 1.0


async def test_a_late_settlement_gives_nothing_back_twice(redis_client: redis.asyncio.Redis) -> None:
    """Once a bucket has been full again, the unused tokens are in it already."""
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 800, "slow") == 0.0
    await reserved(limits, PER_MINUTE, "everything")

    await settle(limits, 0, "slow")

    assert await reserve(limits, 800, "next") > 0.3


# --- pauses -----------------------------------------------------------------------------------------------------


async def test_a_pause_holds_for_all_workers_and_is_never_shortened(clients: tuple[redis.asyncio.Redis, ...]) -> None:
    one, other, *_ = workers(clients, {})
    started = time.monotonic()
    await one.pause(provider="openai", model="m", seconds=0.6)
    for seconds in (0.1, 0, -5, float("nan")):
        await other.pause(provider="openai", model="m", seconds=seconds)

    assert 0.2 < await reserve(other, 1, "a") <= 0.6
    assert await reserve(other, 1, "a", model="n") == 0.0
    await reserved(other, 1, "a")
    assert time.monotonic() - started >= 0.59


async def test_a_longer_pause_replaces_a_shorter_one(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    for seconds in (1.0, 90.0):
        await limits.pause(provider="openai", model="m", seconds=seconds)

    assert 85 < await reserve(limits, 1, "a") <= 90


@pytest.mark.parametrize("seconds", [86_400, float("inf")])
async def test_no_pause_is_longer_than_an_hour(redis_client: redis.asyncio.Redis, seconds: float) -> None:
    limits = Limits(redis_client, TOKENS)
    await limits.pause(provider="openai", model="m", seconds=seconds)

    assert 3590 < await reserve(limits, 1, "a") <= 3600


# --- the server -------------------------------------------------------------------------------------------------


async def test_every_key_expires(redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, {"openai": Limit(10, 100)}, tenant_tokens_per_minute=100)
    for n in range(20):
        await reserve(limits, 20, f"r{n}")
    await settle(limits, 50, "r0")
    await limits.pause(provider="openai", model="m", seconds=10)

    keys = [key async for key in redis_client.scan_iter()]

    assert len(keys) > 5
    for key in keys:
        assert 0 < await redis_client.pttl(key) <= 2 * 3600 * 1000, key


@pytest.mark.fault(50)
async def test_a_killed_server_forgets_nothing(valkey: Valkey, redis_client: redis.asyncio.Redis) -> None:
    limits = Limits(redis_client, TOKENS)
    assert await reserve(limits, 50_000, "a") == 0.0
    await limits.pause(provider="openai", model="paused", seconds=60)
    valkey.kill()

    with pytest.raises(ServiceUnavailable, match="Redis does not answer") as raised:
        await reserve(limits, 1, "b")
    assert raised.value.retryable
    assert "\n" not in str(raised.value)

    valkey.start()
    assert await reserve(limits, 50_000, "a") == 0.0  # still held
    assert await reserve(limits, 1, "c", model="paused") > 30
    assert await reserve(limits, 40_000, "d") > 1
    await settle(limits, 0, "a")
    assert await reserve(limits, 40_000, "d") == 0.0


@pytest.mark.fault(52)
async def test_a_reservation_made_during_a_freeze_is_charged_once(
    valkey: Valkey, redis_client: redis.asyncio.Redis
) -> None:
    hasty = make_client(valkey.url, seconds=0.2)
    limits = Limits(hasty, {"openai:m": Limit(requests_per_minute=2)})
    await reserve(limits, 1, "warm", model="unlimited")
    valkey.freeze()
    try:
        with pytest.raises(ServiceUnavailable):
            await reserve(limits, 1, "frozen")
    finally:
        valkey.thaw()

    assert await reserve(limits, 1, "frozen") == 0.0
    assert await reserve(limits, 1, "second") == 0.0
    assert await reserve(limits, 1, "third") > 1
    await hasty.aclose()
