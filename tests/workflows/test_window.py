"""Many at once with a bound, and work that a cancellation doesn't stop."""

import asyncio

import pytest

from workflows.window import in_window, to_its_end


async def test_results_are_in_the_order_of_the_items_however_they_end() -> None:
    ended = [asyncio.Event() for _ in range(3)]

    async def work(item: int) -> int:
        if item < 2:
            await ended[item + 1].wait()
        ended[item].set()
        return item * 10

    assert await in_window(range(3), 3, work) == [0, 10, 20]
    assert await in_window([], 3, work) == []


async def test_what_one_raises_ends_the_others_and_waits_for_them() -> None:
    told: list[str] = []
    first_waits = asyncio.Event()

    async def work(item: int) -> None:
        if item == 1:
            await first_waits.wait()
            raise LookupError(item)
        try:
            first_waits.set()
            await asyncio.Event().wait()
        finally:
            told.append(f"{item} ended")

    with pytest.raises(LookupError):
        await in_window(range(9), 2, work)
    assert told == ["0 ended"]


async def test_work_that_ends_with_a_result_when_it_is_cancelled_is_the_last_of_its_lane() -> None:
    """As a child run does."""
    begun: list[int] = []
    both_wait = asyncio.Event()

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            both_wait.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    running = asyncio.create_task(in_window(range(5), 2, work))
    await both_wait.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await running
    assert begun == [0, 1]


async def test_what_must_be_done_is_done_although_it_is_cancelled() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await may_end.wait()
        return "done"

    task = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    assert await task == "done"


async def test_a_worker_can_let_go_of_it_at_any_time() -> None:
    """An execution that leaves a worker's memory is closed wherever it stands, and can wait for nothing more."""

    async def work(_: int) -> None:
        await asyncio.Event().wait()

    running = in_window(range(3), 2, work)
    running.send(None)
    running.close()
