"""The level of a running fleet, through a real Valkey that dies and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import pytest_asyncio
import redis.asyncio

from engross.errors import InvalidRequest, ServiceUnavailable
from tests.valkey import Valkey, make_client
from workers.log_level import Wish, end_level, follow, put_level, wished
from workers.logs import Levels

HALF_AN_HOUR = timedelta(minutes=30)


class Asked(Levels):
    """Levels that remember what they were set to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        super().__init__("info")
        self.asked.clear()

    def set(self, level: str, logger: str = "") -> None:
        self.asked.append((level, logger))

    def reset(self) -> None:
        self.asked.append(())


@pytest_asyncio.fixture
async def store(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    valkey.start()
    async with make_client(valkey.url, seconds=1) as client:
        await client.flushdb()
        yield client


@asynccontextmanager
async def following(store: redis.asyncio.Redis) -> AsyncIterator[list[tuple[str, ...]]]:
    levels = Asked()
    task = asyncio.create_task(follow(store, levels, every_seconds=0.02))
    try:
        yield levels.asked
        assert not task.done()
    finally:
        task.cancel()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # another task: there is no event to wait for
            await asyncio.sleep(0.01)


async def test_workers_take_the_level_and_go_back_when_it_is_over(store: redis.asyncio.Redis) -> None:
    async with following(store) as asked:
        await put_level(store, "debug", "", HALF_AN_HOUR)
        await until(lambda: asked == [("debug", "")])
        await put_level(store, "error", "activities.models", timedelta(seconds=1))
        await until(lambda: asked == [("debug", ""), ("error", "activities.models"), ()])
    assert await wished(store) is None


async def test_what_is_asked_for_can_be_seen_and_ended(store: redis.asyncio.Redis) -> None:
    await put_level(store, "debug", "httpx", HALF_AN_HOUR)
    found = await wished(store)
    assert found is not None
    assert (found.level, found.logger) == ("debug", "httpx")
    assert 0 < found.seconds <= HALF_AN_HOUR.total_seconds()
    await end_level(store)
    assert await wished(store) is None


async def test_without_redis_the_level_stays(valkey: Valkey, store: redis.asyncio.Redis) -> None:
    await put_level(store, "debug", "", HALF_AN_HOUR)
    async with following(store) as asked:
        await until(lambda: asked)
        valkey.kill()
        with pytest.raises(ServiceUnavailable):
            await wished(store)
        valkey.start()
        await put_level(store, "error", "", HALF_AN_HOUR)
        await until(lambda: len(asked) == 2)
        assert asked == [("debug", ""), ("error", "")]


@pytest.mark.parametrize("value", ["", "7", "{}", '{"level": "loud", "logger": ""}', '["level"]'])
async def test_what_is_no_level_changes_nothing(store: redis.asyncio.Redis, value: str) -> None:
    await store.set("engross:log_level", value)
    assert await wished(store) is None


@pytest.mark.parametrize(("level", "minutes"), [("loud", 30), ("debug", 0), ("debug", 1441)])
async def test_what_is_no_level_is_refused(store: redis.asyncio.Redis, level: str, minutes: float) -> None:
    with pytest.raises(InvalidRequest):
        await put_level(store, level, "", timedelta(minutes=minutes))
    assert Wish(level) != await wished(store)
