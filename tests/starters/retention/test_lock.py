"""One collection at a time, on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from engross.errors import ServiceUnavailable
from starters.retention.lock import KEY, AlreadyCollecting, Lease, exclusive
from tests.valkey import Valkey, make_client


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[redis.Redis]:
    client = make_client(valkey.url)
    await client.delete(KEY)
    yield client
    await client.aclose()


async def test_a_second_one_is_refused_until_the_first_has_ended(store: redis.Redis) -> None:
    async with exclusive(store) as lease:
        lease.check()
        with pytest.raises(AlreadyCollecting):
            async with exclusive(store):
                pass
        lease.check()
    async with exclusive(store):
        pass
    assert not await store.exists(KEY)


async def test_it_is_given_back_after_an_error(store: redis.Redis) -> None:
    with pytest.raises(KeyError):
        async with exclusive(store):
            raise KeyError
    assert not await store.exists(KEY)


async def test_the_lock_of_one_that_was_killed_ends(store: redis.Redis) -> None:
    await store.set(KEY, "somebody who is dead", px=300)
    async with asyncio.timeout(10):
        while True:
            try:
                async with exclusive(store):
                    return
            except AlreadyCollecting:
                await asyncio.sleep(0.05)


async def test_it_is_renewed(store: redis.Redis) -> None:
    async with exclusive(store, seconds=2) as lease:
        before = await store.pttl(KEY)
        async with asyncio.timeout(10):
            while (now := await store.pttl(KEY)) <= before + 100:
                before = now
                await asyncio.sleep(0.02)
        lease.check()


async def test_who_has_lost_it_may_not_go_on_and_leaves_the_next_one_alone(store: redis.Redis) -> None:
    async with exclusive(store, seconds=0.4) as lease:
        await store.set(KEY, "somebody else", px=60_000)
        async with asyncio.timeout(10):
            while True:
                try:
                    lease.check()
                except ServiceUnavailable:
                    break
                await asyncio.sleep(0.02)
    assert await store.get(KEY) == b"somebody else"


def test_a_lease_ends_by_itself() -> None:
    lease = Lease(60)
    with pytest.raises(ServiceUnavailable, match="run it again"):
        lease.check()
