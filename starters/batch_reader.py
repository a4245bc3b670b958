"""What there is to know about batches: of those that go on from themselves, of the others from what is stored."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Final

from temporalio import client as temporal
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.batches.manifest import read_manifest
from activities.storage import StoredBatch
from engross.contracts import BatchProgress, BatchRequest, BatchRow, ErrorInfo
from engross.errors import InvalidRequest, RunNotFound, ServiceUnavailable
from engross.names import BATCH, PROGRESS_QUERY
from starters import ends
from starters.asking import UNANSWERED, no_answer
from starters.batch_items import BatchItem
from starters.batch_reports import (
    BatchLine,
    BatchReport,
    BatchRowReport,
    BatchState,
    counted,
    of_progress,
    of_rows,
)
from starters.connection import RPC_TIMEOUT, WAIT_TIMEOUT, translated
from starters.reader import RunReader

_ANSWER_TIMEOUT: Final = timedelta(seconds=10)
_STATES: Final = {
    WorkflowExecutionStatus.RUNNING: BatchState.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: BatchState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: BatchState.ENDED,
    WorkflowExecutionStatus.CANCELED: BatchState.CANCELLED,
}


class BatchReader(RunReader):
    """The part of the client for batches that changes nothing."""

    async def batch_status(self, batch_id: str) -> BatchReport:
        """Where the batch stands.

        Raises `RunNotFound`, `InvalidRequest` for what is no batch, and `ServiceUnavailable` also when no worker is
        there to answer for one that runs.
        """
        try:
            run = await self._batch(batch_id)
        except RunNotFound:
            return of_rows(await self._stored(batch_id), BatchState.ENDED)
        if run.status is WorkflowExecutionStatus.RUNNING:
            return await self._running_batch(batch_id)
        return await self._ended_batch(run)

    async def wait_batch(
        self, batch_id: str, *, every_seconds: float, seen: Callable[[BatchReport], None] = lambda _: None
    ) -> BatchReport:
        """How the batch ended, once it has; until then `seen` is told where it stands. Raises as `batch_status`.

        A time without workers is waited out.
        """
        await self._batch(batch_id)
        end = asyncio.create_task(self._end(batch_id))
        try:
            while not end.done():
                with suppress(ServiceUnavailable):  # when Temporal stays away, the task meets it as well
                    seen(await self.batch_status(batch_id))
                await asyncio.wait([end], timeout=every_seconds)
            await end
        finally:
            end.cancel()
        return await self.batch_status(batch_id)

    async def is_running(self, batch_id: str) -> bool:
        """Whether the batch still runs. Raises `RunNotFound`, or `InvalidRequest` for what is no batch."""
        try:
            return (await self._batch(batch_id)).close_time is None
        except RunNotFound:
            await self._stored(batch_id)
            return False

    async def whose(self, batch_id: str) -> tuple[str, str]:
        """The job and the tenant of a batch. Raises `RunNotFound`."""
        try:
            run = await self._batch(batch_id)
        except RunNotFound:
            stored = await self._stored(batch_id)
            return stored.job, stored.tenant
        return ends.attribute(run, ends.JOB), ends.attribute(run, ends.TENANT)

    async def never_begun(self, batch_id: str) -> dict[int, BatchItem]:
        """The documents, by row, that a batch which was stopped never came to, as far as Temporal knows it still.

        Raises `RunNotFound`, or `InvalidRequest` for what is no batch.
        """
        try:
            run = await self._batch(batch_id)
        except RunNotFound:
            await self._stored(batch_id)
            return {}
        if _STATES.get(run.status or WorkflowExecutionStatus.FAILED) in (BatchState.RUNNING, BatchState.ENDED):
            return {}
        known = {row.row async for row in self._results.batches.rows(batch_id)}
        rows = [row for row in await self._manifest(batch_id) if row.row not in known and row.duplicate_of is None]
        return {row.row: BatchItem(row.document.label, row.document.uri, row.error) for row in rows}

    async def _manifest(self, batch_id: str) -> list[BatchRow]:
        """The rows that a batch was started with; none when its manifest is not in the blob store."""
        handle = self._temporal.get_workflow_handle(batch_id)
        with translated(self.endpoints.temporal):
            first = await anext(handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT))
        payloads = first.workflow_execution_started_event_attributes.input.payloads
        request: BatchRequest
        [request] = await self._temporal.data_converter.decode(payloads, [BatchRequest])
        ref = await self._blobs.find(request.tenant, request.manifest.uri.removeprefix("blob:"))
        return read_manifest(await self._blobs.get(ref)) if ref else []

    async def batch_rows(
        self, batch_id: str, *, outcome: str | None = None, after: int = 0
    ) -> AsyncIterator[BatchRowReport]:
        """The rows behind `after` that have ended or are parked, in order, as their documents stand by now."""
        async for row in self._results.batches.rows(batch_id, outcome=outcome, after=after):
            fields = {name: getattr(row, name) for name in BatchRowReport.model_fields if name != "document"}
            yield BatchRowReport.model_validate({**fields, "document": row.name})

    async def batches(self, limit: int, tenants: Collection[str] | None = None) -> list[BatchLine]:
        """Those of `tenants` (None: all), newest first: what Temporal knows, and what only rows are left of."""
        stored = {batch.batch_id: batch for batch in await self._results.batches.newest(limit, tenants)}
        lines: dict[str, BatchLine] = {}
        query = f"WorkflowType = '{BATCH}' AND ExecutionStatus != 'ContinuedAsNew'{ends.of_tenants(tenants)}"
        with translated(self.endpoints.temporal):
            async for run in self._temporal.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
                if run.id not in lines:
                    found = stored.pop(run.id, None) or await self._results.batches.get(run.id)
                    lines[run.id] = _line(run, found)
        forgotten = [_line_of_rows(batch) for batch in stored.values()]
        return sorted([*lines.values(), *forgotten], key=lambda line: line.started_at, reverse=True)[:limit]

    async def _batch(self, batch_id: str) -> temporal.WorkflowExecutionDescription:
        run = await self._describe(batch_id)
        if run.workflow_type != BATCH:
            raise InvalidRequest(f"{batch_id} is no batch but a run; see `engross status {batch_id}`")
        return run

    async def _running_batch(self, batch_id: str) -> BatchReport:
        told = await self._told(batch_id)
        return of_progress(told, BatchState.PAUSED if told.is_paused else BatchState.RUNNING)

    async def _ended_batch(self, run: temporal.WorkflowExecutionDescription) -> BatchReport:
        state = _STATES.get(run.status or WorkflowExecutionStatus.FAILED, BatchState.FAILED)
        stored = await self._results.batches.get(run.id)
        end = await self._end(run.id)
        if isinstance(end, BatchProgress):
            report = of_progress(end, state)
            # What was parked then, or waited for people, may have ended since.
            return _with_rows(report, stored) if report.parked or report.needs_approval else report
        error = {"error": end}
        with suppress(ServiceUnavailable, InvalidRequest):  # it told nothing at its end: what it knew is second best
            report = _with_rows(of_progress(await self._told(run.id), state), stored)
            return report.model_copy(update=error | {"running": 0, "eta_seconds": None})
        if stored is not None:
            return of_rows(stored, state).model_copy(update=error)
        return BatchReport(
            batch_id=run.id,
            job=ends.attribute(run, ends.JOB),
            tenant=ends.attribute(run, ends.TENANT),
            state=state,
            total=0,
            started_at=run.start_time,
            seconds=((run.close_time or run.start_time) - run.start_time).total_seconds(),
            error=end,
        )

    async def _told(self, batch_id: str) -> BatchProgress:
        """What the batch says of itself, also when it has ended. Raises `ServiceUnavailable` when nobody answers."""
        await self._check_served(batch_id)
        handle = self._temporal.get_workflow_handle(batch_id)
        with translated(self.endpoints.temporal):
            try:
                told: BatchProgress = await handle.query(
                    PROGRESS_QUERY, result_type=BatchProgress, rpc_timeout=_ANSWER_TIMEOUT
                )
            except temporal.WorkflowQueryFailedError:
                raise InvalidRequest(f"batch {batch_id} tells nothing of its progress") from None
            except RPCError as error:
                if error.status in UNANSWERED:
                    raise no_answer(batch_id) from None
                raise
        return told

    async def _end(self, batch_id: str) -> BatchProgress | ErrorInfo | None:
        """What the batch returned, or why it failed, once it has ended."""
        handle = self._temporal.get_workflow_handle(batch_id, result_type=BatchProgress)
        with translated(self.endpoints.temporal):
            try:
                told: BatchProgress = await handle.result(rpc_timeout=WAIT_TIMEOUT)
            except temporal.WorkflowFailureError as failure:
                return _error(failure.cause)
        return told

    async def _stored(self, batch_id: str) -> StoredBatch:
        stored = await self._results.batches.get(batch_id)
        if stored is None:
            raise RunNotFound(f"no batch has the id {batch_id!r}")
        return stored


def _with_rows(report: BatchReport, stored: StoredBatch | None) -> BatchReport:
    """The report with the outcomes of the rows that are stored, when these are as many as it knows of."""
    is_whole = stored is not None and stored.rows >= report.ended
    return report.model_copy(update=dict(counted(stored))) if stored and is_whole else report


def _error(cause: BaseException) -> ErrorInfo | None:
    if isinstance(cause, ApplicationError):
        return ErrorInfo(type=cause.type or "Unexpected", message=cause.message)
    return None  # cancelled, terminated or out of time: its state says so


def _line(run: temporal.WorkflowExecution, stored: StoredBatch | None) -> BatchLine:
    return BatchLine(
        batch_id=run.id,
        job=ends.attribute(run, ends.JOB),
        tenant=ends.attribute(run, ends.TENANT),
        state=_STATES.get(run.status or WorkflowExecutionStatus.FAILED, BatchState.FAILED),
        rows=stored.outcomes if stored else {},
        cost_usd=stored.cost_usd if stored else Decimal(0),
        unpriced=stored.unpriced if stored else 0,
        started_at=run.start_time,
        ended_at=run.close_time,
    )


def _line_of_rows(stored: StoredBatch) -> BatchLine:
    return BatchLine(
        batch_id=stored.batch_id,
        job=stored.job,
        tenant=stored.tenant,
        state=BatchState.ENDED,
        rows=stored.outcomes,
        cost_usd=stored.cost_usd,
        unpriced=stored.unpriced,
        started_at=stored.first_at,
        ended_at=stored.last_at,
    )
