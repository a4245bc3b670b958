"""The breaker against a real server: who opens, who probes, and whose word comes too late."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import pytest
import redis.asyncio

from activities.guards.breaker import Breaker, Permit, Rest
from engross.errors import ServiceUnavailable
from tests.valkey import Valkey, make_client

P: Final = "openai"
DEADLINE: Final = 15.0


async def permit(breaker: Breaker) -> Permit:
    """Leave for one call, waiting as told."""
    end = time.monotonic() + DEADLINE
    while not isinstance(found := await breaker.allow(P), Permit):
        assert time.monotonic() < end, f"still told to wait {found}"
        await asyncio.sleep(found.seconds)
    return found


async def wait_told(breaker: Breaker) -> float:
    found = await breaker.allow(P)
    assert isinstance(found, Rest)
    return found.seconds


async def opened(breaker: Breaker) -> None:
    assert await breaker.failure(P, await permit(breaker), at_once=True, cause="AuthenticationFailed")


async def name(breaker: Breaker) -> str:
    return (await breaker.state(P)).name


# --- closed -----------------------------------------------------------------------------------------------------


async def test_the_last_of_n_failures_opens(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=3)
    for _ in range(2):
        assert not await breaker.failure(P, await permit(breaker))
    assert await name(breaker) == "closed"

    before = time.time()
    assert await breaker.failure(P, await permit(breaker), cause="ProviderOverloaded")

    state = await breaker.state(P)
    assert (state.name, state.opened_by) == ("open", "ProviderOverloaded")
    assert state.until is not None
    assert before + 29 < state.until.timestamp() < before + 32
    assert 29 < await wait_told(breaker) <= 30
    assert isinstance(await breaker.allow("anthropic"), Permit)


async def test_failures_older_than_the_window_do_not_count(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=3, window_seconds=0.5)
    for _ in range(4):  # at 0, 0.3, 0.6 and 0.9 s: each within the window of the one before, never three of them
        assert not await breaker.failure(P, await permit(breaker))
        await asyncio.sleep(0.3)

    await asyncio.sleep(0.5)
    assert [await breaker.failure(P, await permit(breaker)) for _ in range(3)] == [False, False, True]


async def test_successes_make_up_for_failures(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=3)
    for _ in range(20):
        await breaker.success(P, await permit(breaker))
    for _ in range(20):
        assert not await breaker.failure(P, await permit(breaker))
        await breaker.success(P, await permit(breaker))

    answers = [await breaker.failure(P, await permit(breaker)) for _ in range(3)]

    assert answers == [False, False, True]  # earlier successes are no credit: an outage opens after three


async def test_one_failure_told_many_times_counts_once(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=2)
    one = await permit(breaker)

    assert not any([await breaker.failure(P, one) for _ in range(10)])


async def test_one_of_fifty_failing_at_once_opens(valkey: Valkey, redis_client: redis.asyncio.Redis) -> None:
    clients = [make_client(valkey.url) for _ in range(5)]
    breakers = [Breaker(client) for client in clients]
    permits = await asyncio.gather(*(breakers[n % 5].allow(P) for n in range(50)))
    given = [each for each in permits if isinstance(each, Permit)]
    assert len({each.token for each in given}) == 50

    answers = await asyncio.gather(*(breakers[n % 5].failure(P, each) for n, each in enumerate(given)))

    assert answers.count(True) == 1
    assert 29 < await wait_told(breakers[0]) <= 30  # opened once, not doubled by those who came after
    for client in clients:
        await client.aclose()


async def test_the_one_that_opened_is_told_so_again(redis_client: redis.asyncio.Redis) -> None:
    """Or the only alarm would be lost with the reply to the first telling."""
    breaker = Breaker(redis_client, failures=1)
    opener, other = await permit(breaker), await permit(breaker)

    assert [await breaker.failure(P, each) for each in (opener, other, opener)] == [True, False, True]
    assert 29 < await wait_told(breaker) <= 30


async def test_a_bad_key_opens_at_once(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client)
    one, other = await permit(breaker), await permit(breaker)

    assert await breaker.failure(P, one, at_once=True, cause="AuthenticationFailed")
    assert not await breaker.failure(P, other, at_once=True, cause="AuthenticationFailed")
    assert (await breaker.state(P)).opened_by == "AuthenticationFailed"


# --- open and half-open -----------------------------------------------------------------------------------------


async def test_one_of_fifty_is_the_probe(valkey: Valkey, redis_client: redis.asyncio.Redis) -> None:
    clients = [make_client(valkey.url) for _ in range(5)]
    breakers = [Breaker(client, open_seconds=0.5) for client in clients]
    await opened(breakers[0])
    assert await name(breakers[0]) == "open"
    await asyncio.sleep(await wait_told(breakers[0]) + 0.01)
    assert await name(breakers[0]) == "half_open"

    found = await asyncio.gather(*(breakers[n % 5].allow(P) for n in range(50)))

    probes = [each for each in found if isinstance(each, Permit)]
    assert [each.probe for each in probes] == [True]
    assert all(0 < each.seconds <= 0.5 for each in found if isinstance(each, Rest))
    assert await name(breakers[0]) == "half_open"
    await breakers[1].success(P, probes[0])
    assert await name(breakers[0]) == "closed"
    assert not (await permit(breakers[0])).probe
    for client in clients:
        await client.aclose()


async def test_a_probe_whose_worker_died_makes_room_for_another(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, open_seconds=0.05, probe_seconds=0.5)
    await opened(breaker)
    assert (await permit(breaker)).probe
    taken = time.monotonic()
    assert await wait_told(breaker) <= 0.05

    second = await permit(breaker)

    assert second.probe
    assert time.monotonic() - taken >= 0.3
    await breaker.success(P, second)
    assert await name(breaker) == "closed"


async def test_a_slow_probe_may_still_close(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, open_seconds=0.05, probe_seconds=0.05)
    await opened(breaker)
    slow, second = await permit(breaker), await permit(breaker)
    assert slow.probe
    assert second.probe

    await breaker.success(P, slow)

    assert await name(breaker) == "closed"
    assert not await breaker.failure(P, second, at_once=True)  # too late: what it saw was before the closing
    assert await name(breaker) == "closed"


async def test_what_began_before_the_opening_means_nothing(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=1, open_seconds=0.05)
    early = [await permit(breaker) for _ in range(3)]
    await opened(breaker)

    await breaker.success(P, early[0])
    assert await name(breaker) != "closed"
    probe = await permit(breaker)
    await breaker.success(P, early[0])
    assert await name(breaker) == "half_open"
    assert not await breaker.failure(P, early[1])
    assert await name(breaker) == "half_open"
    await breaker.success(P, probe)
    assert not await breaker.failure(P, early[2])  # one would be enough to open
    assert await name(breaker) == "closed"


async def test_a_probe_that_failed_has_no_second_word(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, open_seconds=0.05)
    await opened(breaker)
    probe = await permit(breaker)
    await breaker.failure(P, probe)

    await breaker.success(P, probe)

    assert await name(breaker) != "closed"


async def test_each_failed_probe_doubles_the_time_up_to_the_longest(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, open_seconds=0.2, longest_seconds=0.6)
    await opened(breaker)
    waits = []
    for _ in range(4):
        waits.append(await wait_told(breaker))
        probe = await permit(breaker)
        answers = [await breaker.failure(P, probe, cause="ProviderTimeout") for _ in range(2)]
        assert answers == [False, False]  # no news, and no second doubling

    for wait, (least, most) in zip(waits, ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.4, 0.6)), strict=True):
        assert least < wait <= most
    assert (await breaker.state(P)).opened_by == "ProviderTimeout"
    await breaker.success(P, await permit(breaker))
    await opened(breaker)  # an alarm again, and the first time is the short one
    assert await wait_told(breaker) <= 0.2


@pytest.mark.parametrize(
    ("failures", "window", "opens", "longest", "probe"),
    [(0, 60, 30, 600, 60), (5, 0, 30, 600, 60), (5, 60, 0, 600, 60), (5, 60, 30, 29, 60), (5, 60, 30, 600, 0)],
)
async def test_settings_that_make_no_sense_are_refused(
    redis_client: redis.asyncio.Redis, failures: int, window: float, opens: float, longest: float, probe: float
) -> None:
    with pytest.raises(ValueError, match="at least"):
        Breaker(
            redis_client,
            failures=failures,
            window_seconds=window,
            open_seconds=opens,
            longest_seconds=longest,
            probe_seconds=probe,
        )


# --- the server -------------------------------------------------------------------------------------------------


async def test_every_key_expires(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=2, open_seconds=0.05)
    seen: set[bytes] = set()

    async def check() -> None:
        async for key in redis_client.scan_iter():
            seen.add(key)
            assert 0 < await redis_client.pttl(key) <= 2 * 3600 * 1000 + 600_000, key

    await breaker.failure(P, await permit(breaker))
    await check()
    await opened(breaker)
    await check()
    probe = await permit(breaker)
    await check()
    await breaker.success(P, probe)
    await check()
    assert len(seen) == 2


async def test_who_put_things_right_need_not_wait(redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, open_seconds=300)
    assert not await breaker.probe_now(P)
    await opened(breaker)
    told = await breaker.allow(P)
    assert isinstance(told, Rest)
    assert (round(told.seconds, -1), told.cause) == (300, "AuthenticationFailed")

    assert await breaker.probe_now(P)

    probe = await breaker.allow(P)
    assert isinstance(probe, Permit)
    assert probe.probe
    assert isinstance(await breaker.allow(P), Rest)  # one call tries, not everybody
    await breaker.success(P, probe)
    assert await name(breaker) == "closed"


@pytest.mark.fault(50)
async def test_a_killed_server_forgets_nothing(valkey: Valkey, redis_client: redis.asyncio.Redis) -> None:
    breaker = Breaker(redis_client, failures=3, open_seconds=60)
    early = await permit(breaker)
    for _ in range(2):
        assert not await breaker.failure(P, await permit(breaker))
    valkey.kill()
    with pytest.raises(ServiceUnavailable, match="Redis does not answer") as raised:
        await breaker.allow(P)
    assert raised.value.retryable
    assert "\n" not in str(raised.value)

    valkey.start()
    assert await breaker.failure(P, await permit(breaker), cause="ProviderTimeout")  # the third
    before = await breaker.state(P)
    valkey.kill()
    valkey.start()

    with suppress(ServiceUnavailable):  # a connection of the old server's, found broken when it is used
        await breaker.state(P)
    assert await breaker.state(P) == before
    await breaker.success(P, early)
    assert await breaker.state(P) == before
    assert 50 < await wait_told(breaker) <= 60
