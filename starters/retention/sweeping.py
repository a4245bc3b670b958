"""A collection: what is needed is marked, then what is old and not needed is deleted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from starters.retention.histories import OpenWorkflows
from starters.retention.marking import Blobs, Marks, Stored
from starters.retention.policy import Policy
from starters.retention.report import Report, Told
from starters.retention.rows import Rows

_AT_ONCE: Final = 32


class Deletable(Blobs, Protocol):
    """The part of the blob store that sweeping needs."""

    async def delete(self, tenant: str, sha256s: Sequence[str], *, unless_newer: datetime | None) -> int: ...


@dataclass(frozen=True)
class Stores:
    """What is looked through."""

    workflows: OpenWorkflows
    rows: Rows
    blobs: Deletable


async def collect(stores: Stores, policy: Policy, report: Report, check: Callable[[], None], told: Told) -> None:
    """Deletes ended runs that are old, and old blobs that nothing needs, or counts them in a dry run.

    `check` raises when nothing may be deleted any more. Nothing is deleted before all that is needed is known: an
    error until then leaves everything as it was.
    """
    marks = await _marked(stores, report, told)
    check()
    await stores.rows.delete(report)
    await _Sweep(stores.blobs, policy, report, check, told).run(marks)


async def _marked(stores: Stores, report: Report, told: Told) -> Marks:
    marks, begun = Marks(), datetime.now(UTC)
    count = 0
    # Blobs first: those that come later are none of this collection's business.
    async for blob in stores.blobs.list():
        marks.add(blob.tenant, blob.sha256)
        count += 1
        told("blobs listed", count)
    # Workflows before rows: what ends in between has its row when rows are read.
    ids = await stores.workflows.mark(marks, told)
    await stores.workflows.mark_schedules(marks)
    report.open_workflows = len(ids)
    await stores.rows.add_busy(ids)
    await stores.rows.mark(marks, told)
    await marks.follow(stores.blobs, told)
    # Whoever started meanwhile may have named a blob that was there all the time.
    await stores.rows.add_busy(await stores.workflows.mark(marks, told, since=begun))
    await marks.follow(stores.blobs, told)
    return marks


class _Sweep:
    def __init__(self, blobs: Deletable, policy: Policy, report: Report, check: Callable[[], None], told: Told) -> None:
        self._blobs = blobs
        self._policy = policy
        self._report = report
        self._check = check
        self._told = told
        self._old: list[Stored] = []

    async def run(self, marks: Marks) -> None:
        count = 0
        async for blob in self._blobs.list(self._policy.tenant):
            kind = self._kind(blob, marks)
            if kind == "deleted":
                self._old.append(blob)
            else:
                self._report.add_blob(blob.tenant, kind, blob.stored_bytes)
            if len(self._old) == _AT_ONCE:
                await self._delete()
            count += 1
            self._told("blobs judged", count)
        await self._delete()

    def _kind(self, blob: Stored, marks: Marks) -> str:
        if marks.is_needed(blob.sha256):
            return "kept"
        return "deleted" if blob.modified < self._policy.blobs_before and marks.is_garbage(blob.sha256) else "young"

    async def _delete(self) -> None:
        old, self._old = self._old, []
        if not self._report.is_dry:
            self._check()
        for blob, kind in zip(old, await asyncio.gather(*map(self._deleted, old)), strict=True):
            self._report.add_blob(blob.tenant, kind, blob.stored_bytes)

    async def _deleted(self, blob: Stored) -> str:
        if self._report.is_dry:
            return "deleted"
        # Who has put it since it was listed has made it young.
        gone = await self._blobs.delete(blob.tenant, [blob.sha256], unless_newer=self._policy.blobs_before)
        return "deleted" if gone else "young"
