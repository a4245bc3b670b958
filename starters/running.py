"""The one way to run a program that talks to Temporal."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from workers.tracing import close_tracing

T = TypeVar("T")

# Temporal's client threads can abort a process that exits at once (sdk-python issue 300); they are gone after this.
_SETTLE_SECONDS: Final = 0.02


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, run to its end like `asyncio.run` does."""
    try:
        return asyncio.run(_settled(work))
    finally:
        close_tracing()


async def _settled(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        await asyncio.sleep(_SETTLE_SECONDS)
