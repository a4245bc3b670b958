"""A quick start: what loads runs beside the event loop, what connects runs side by side."""

import asyncio
import gc
import threading

import pytest

from workers.loading import aside, together


async def test_the_event_loop_goes_on_meanwhile() -> None:
    heard = threading.Event()
    loading = asyncio.create_task(aside(heard.wait, timeout=30))
    await asyncio.sleep(0)
    heard.set()
    assert await loading, "nobody could be heard while it loaded"


async def test_garbage_is_not_collected_meanwhile_and_is_again_afterwards() -> None:
    assert gc.isenabled()
    try:
        assert not await aside(gc.isenabled)
        assert gc.isenabled()
        with pytest.raises(ImportError):
            await aside(__import__, "no_such_module")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


async def test_two_wait_side_by_side() -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def one() -> int:
        first.set()
        await second.wait()
        return 1

    async def other() -> str:
        second.set()
        await first.wait()
        return "2"

    async with asyncio.timeout(30):
        assert await together(one(), other()) == (1, "2")


async def test_when_one_fails_the_other_has_ended_too() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async with asyncio.timeout(30):
        with pytest.raises(ValueError, match="no"):
            await together(waits(), fails())
    assert ended.is_set()
