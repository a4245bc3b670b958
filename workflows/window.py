"""Many at once, with a bound, and work that a cancellation doesn't stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from temporalio import workflow

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def in_window(items: Iterable[_Item], at_once: int, work: Callable[[_Item], Awaitable[_Result]]) -> list[_Result]:
    """`work` over all `items`, `at_once` of them in flight; the results in the order of the items.

    What one of them raises ends the others, and is raised when these have ended too.
    """
    waiting = list(items)
    results: dict[int, _Result] = {}
    numbered = iter(enumerate(waiting))
    is_over = False

    async def lane() -> None:
        for number, item in numbered:
            results[number] = await work(item)
            if is_over:  # a child run that is cancelled still ends with a result: no next one then
                return

    lanes = [asyncio.create_task(lane()) for _ in range(min(at_once, len(waiting)))]
    try:
        # Not `gather`, which keeps a cancellation from the rest of this function until the last lane has ended.
        done, _ = await workflow.wait(lanes, return_when=asyncio.FIRST_EXCEPTION) if lanes else ([], [])
        for each in done:
            each.result()
    except (Exception, asyncio.CancelledError):
        # Not `finally`: when a worker lets go of the run it closes this function, which can't wait for anything then.
        is_over = True
        for each in lanes:
            each.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        raise
    return [results[number] for number in range(len(waiting))]


async def to_its_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of `work`, which it is too late to cancel."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task
