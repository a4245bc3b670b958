"""The worker process: settings -> parsers and libraries side by side -> workers, until it is told to stop.

Imports next to nothing itself: the parsers, processes of their own, are started before the libraries are loaded.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module

from activities.documents.pool import ParserPool
from engross.endpoints import resolve
from engross.names import DOCUMENTS_QUEUE
from engross.settings import Settings
from workers.loading import aside
from workers.logs import Levels, configure_logs
from workers.queues import check_queues, default_queues, in_order
from workers.redaction import secrets_of
from workers.tracing import close_tracing


def run_worker(settings: Settings, queues: Sequence[str] | None = None) -> int:
    """Serves `queues` (default: all that this installation can) until SIGTERM or SIGINT, then drains. Exit code."""
    levels = configure_logs(settings.log_level, secrets_of(settings, os.environ))
    try:
        asyncio.run(_run(settings, in_order(queues or default_queues(settings), settings), levels))
    finally:
        close_tracing()
    return 0


async def _run(settings: Settings, queues: Sequence[str], levels: Levels) -> None:
    check_queues(queues)
    endpoints = resolve(settings)
    stop = _stop_event()
    async with _parsers(settings, queues) as parsers:
        serving = await aside(import_module, "workers.serving")
        await serving.serve(settings, endpoints, queues, parsers, levels, stop)


@asynccontextmanager
async def _parsers(settings: Settings, queues: Sequence[str]) -> AsyncIterator[ParserPool]:
    """Parsers that get warm while the body runs, if one of `queues` needs them."""
    pool = ParserPool(size=settings.parsers, seconds=settings.parser_seconds, memory_mb=settings.parser_memory_mb)
    if DOCUMENTS_QUEUE in queues:
        pool.begin()
    try:
        yield pool
    finally:
        await pool.close()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
