"""`engross batch`: many documents as one piece of work."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from engross.catalog import load_catalog
from engross.errors import ServiceUnavailable
from engross.settings import Settings
from starters.batch_reports import BatchReport, SubmittedBatch
from starters.batches import BatchClient
from starters.cli.batch_input import Sources, find_items
from starters.cli.batch_progress import every_seconds, live_progress
from starters.cli.batch_show import show_batch, show_started
from starters.cli.ending import ExitCode
from starters.cli.output import note, progress
from starters.client import usable_job
from starters.running import run

T = TypeVar("T")

_WORKER_HINT_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Manner:
    """How a batch is to be run; as in `BatchClient.submit_batch`."""

    tenant: str
    at_once: int
    group: int
    again: bool
    cache: bool


def submit(settings: Settings, job: str, sources: Sources, manner: Manner, *, wait: bool, as_json: bool) -> ExitCode:
    """Starts a batch over what `sources` name, and with `wait` stays until it has ended."""
    usable_job(load_catalog(settings.jobs_path), job, manner.tenant)  # known to be wrong before anything is asked
    items = find_items(sources)

    async def start(client: BatchClient) -> SubmittedBatch:
        with progress(len(items), "uploaded") as advance:
            return await client.submit_batch(
                job,
                items,
                tenant=manner.tenant,
                at_once=manner.at_once,
                group=manner.group,
                again=manner.again,
                cache=manner.cache,
                uploaded=advance,
            )

    return _start(settings, start, wait=wait, as_json=as_json)


def retry_failed(settings: Settings, batch_id: str, *, wait: bool, as_json: bool) -> ExitCode:
    """Starts a batch over the documents of another that failed."""

    async def start(client: BatchClient) -> SubmittedBatch | None:
        started = await client.retry_failed(batch_id)
        if started is None:
            note(f"nothing failed in {batch_id}")
        return started

    return _start(settings, start, wait=wait, as_json=as_json)


def _start(
    settings: Settings,
    start: Callable[[BatchClient], Awaitable[SubmittedBatch | None]],
    *,
    wait: bool,
    as_json: bool,
) -> ExitCode:
    async def work() -> ExitCode:
        async with await BatchClient.connect(settings) as client:
            started = await start(client)
            if started is None:
                return ExitCode.OK
            show_started(started, as_json=as_json and not wait, in_data=not wait)
            return await _wait(client, started.batch_id, as_json=as_json) if wait else ExitCode.OK

    return _interruptible(work)


def status(settings: Settings, batch_id: str, *, watch: bool, as_json: bool) -> ExitCode:
    """Where a batch stands; with `watch`, until it has ended."""

    async def ask() -> ExitCode:
        async with await BatchClient.connect(settings) as client:
            if watch:
                return await _wait(client, batch_id, as_json=as_json)
            show_batch(await client.batch_status(batch_id), client.link(batch_id), as_json=as_json)
            return ExitCode.OK

    return _interruptible(ask)


async def _wait(client: BatchClient, batch_id: str, *, as_json: bool) -> ExitCode:
    """Shows how the batch goes on, and in the end how it ended."""
    is_seen = asyncio.Event()
    hint = asyncio.create_task(_hint_at_missing_worker(client, is_seen))
    try:
        with live_progress() as show:

            def see(report: BatchReport) -> None:
                is_seen.set()
                show(report)

            report = await client.wait_batch(batch_id, every_seconds=every_seconds(), seen=see)
    finally:
        hint.cancel()
    show_batch(report, client.link(batch_id), as_json=as_json)
    return ExitCode.OK if report.is_done else ExitCode.NOT_DONE


async def _hint_at_missing_worker(client: BatchClient, is_seen: asyncio.Event) -> None:
    await asyncio.sleep(_WORKER_HINT_SECONDS)
    with contextlib.suppress(ServiceUnavailable):  # whoever waits for the batch meets it as well, and says so
        if not is_seen.is_set() and not await client.is_served():
            note("no worker is polling, so nothing moves: start one with `engross worker`")


def _interruptible(work: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
    async def started() -> ExitCode:
        return await work()

    try:
        return run(started())
    except KeyboardInterrupt:
        note("engross: interrupted; batches that were started go on: see them with `engross batch list`")
        return ExitCode.INTERRUPTED


# --- acting -----------------------------------------------------------------------------------------------------


def pause(settings: Settings, batch_id: str) -> ExitCode:
    """Starts no more documents."""
    _act(settings, lambda client: client.pause_batch(batch_id))
    note(f"paused; documents in flight end. `engross batch resume {batch_id}` goes on")
    return ExitCode.OK


def resume(settings: Settings, batch_id: str) -> ExitCode:
    """Goes on with a paused batch."""
    _act(settings, lambda client: client.resume_batch(batch_id))
    note("resumed")
    return ExitCode.OK


def window(settings: Settings, batch_id: str, at_once: int) -> ExitCode:
    """Changes how many documents are in flight."""
    _act(settings, lambda client: client.set_window(batch_id, at_once))
    note(f"{at_once} documents at a time from now on")
    return ExitCode.OK


def cancel(settings: Settings, batch_id: str) -> ExitCode:
    """Asks a batch to stop."""
    asked = _act(settings, lambda client: client.cancel_batch(batch_id))
    told = f"asked {batch_id} to stop; see `engross batch status {batch_id}`"
    note(told if asked else f"{batch_id} had ended already")
    return ExitCode.OK


def _act(settings: Settings, action: Callable[[BatchClient], Awaitable[T]]) -> T:
    async def act() -> T:
        async with await BatchClient.connect(settings) as client:
            return await action(client)

    return run(act())
