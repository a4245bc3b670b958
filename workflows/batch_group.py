"""A part of a batch: some of its documents, each with steps, accounts and a row of its own, in one workflow."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import (
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        BatchRow,
        ErrorInfo,
        GroupProgress,
        GroupRequest,
        GroupRowsRequest,
        GroupShare,
        Inherited,
        Outcome,
        PreparedRow,
        RowOutcome,
        RunRequest,
        RunResult,
        StoreRequest,
    )
    from engross.names import BATCH_GROUP, GROUP_PROGRESS_SIGNAL, GROUP_SHARE_SIGNAL, NEEDS_APPROVAL, RESUME_SIGNAL
    from workflows import failures, steps
    from workflows.attributes import JOB, TENANT
    from workflows.chain import chain
    from workflows.in_group import InGroup, MovesOut
    from workflows.parking import Parking
    from workflows.run import Run
    from workflows.shelf import Shelf

_INLINE: Final = "chain"
_TOLD_EVERY: Final = timedelta(seconds=5)
_PARKED_IN_A_ROW: Final = 3
_LOOK_AGAIN: Final = timedelta(minutes=10)
_GROUP: Final = "group"
_DUPLICATE: Final = "duplicate"
_CANCELLED: Final = ErrorInfo(type="Cancelled", message="cancelled by request")


@workflow.defn(name=BATCH_GROUP, failure_exception_types=failures.OF_OUR_OWN)
class BatchGroup:
    """Chains run here, side by side. Documents of other patterns, and those that must wait, get runs of their own."""

    @workflow.init
    def __init__(self, request: GroupRequest) -> None:
        self._request = request
        self._share = request.at_once
        self._running: set[asyncio.Task[None]] = set()
        self._shelf = Shelf(request)
        self._parking = Parking(lambda: None)
        self._parked: list[ErrorInfo] = []  # why the last rows parked, those since one that did not
        self._told_at = workflow.now()

    @workflow.signal(name=RESUME_SIGNAL, description="Try again now what waits for a key, credit or a budget.")
    def _resume(self) -> None:
        self._parking.wake()

    @workflow.signal(name=GROUP_SHARE_SIGNAL, description="How many documents may be in flight; 0 pauses.")
    def _new_share(self, share: GroupShare) -> None:
        self._share = share.at_once

    @workflow.run
    async def run(self, request: GroupRequest) -> GroupProgress:
        rows = await self._prepared()
        try:
            while rows:
                await workflow.wait_condition(lambda: len(self._running) < self._share)
                await self._hold()
                self._start(rows.pop(0))
            await workflow.wait_condition(lambda: not self._running)
        except asyncio.CancelledError:
            await self._stop(rows)
            raise
        await self._shelf.store()
        return self._progress()

    # --- rows -------------------------------------------------------------------------------------------------------

    async def _prepared(self) -> list[PreparedRow]:
        """The rows of the group, their documents read; when that can't be done each of them has failed."""
        group = self._request
        wanted = GroupRowsRequest(
            batch_id=group.batch_id,
            job=group.job,
            tenant=group.tenant,
            job_version=group.plan.job_version,
            route=":".join(str(model) for step in group.plan.steps for model in step.route),
            listing=group.listing,
            first=group.first,
            last=group.last,
            reads=group.plan.pattern == _INLINE,
        )
        summary = f"read the documents of rows {group.first} to {group.last}"
        try:
            return list((await steps.prepare_group(wanted, summary=summary)).rows)
        except FailureError as error:
            info = None if is_cancelled_exception(error) else failures.describe(error)
            if info is None:
                raise
            rows = [BatchRow(row=number) for number in range(group.first, group.last + 1)]
            return [PreparedRow(row=row, run_id=f"{group.batch_id}-{row.row}", error=info) for row in rows]

    async def _hold(self) -> None:
        """When one document after the other has to wait, the rest of the group waits here, not each in a run."""
        if len(self._parked) < _PARKED_IN_A_ROW:
            return
        await self._parking.wait(_GROUP, self._parked[-1], _LOOK_AGAIN)
        self._parking.leave(_GROUP)
        self._parked.pop()  # the next document shows whether they still have to

    def _start(self, row: PreparedRow) -> None:
        task = asyncio.create_task(self._one(row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _one(self, row: PreparedRow) -> None:
        """One row to its outcome, whatever comes."""
        try:
            if row.row.duplicate_of is not None:
                self._put(row, _DUPLICATE)
            elif row.error or row.row.error:
                self._put(row, Outcome.FAILED, row.error or row.row.error)
            elif self._request.plan.pattern == _INLINE:
                await self._run_here(row)
            else:
                await self._run_apart(row)
        except failures.OF_OUR_OWN as error:
            # A mistake of our own, met by one document: the others needn't suffer from it.
            told = ErrorInfo(type="Unexpected", message=f"unexpected {type(error).__name__} in the workflow")
            self._put(row, Outcome.FAILED, told)
        await self._after_one()

    async def _run_here(self, row: PreparedRow) -> None:
        kept: list[StoreRequest] = []
        place = InGroup(self._request, row, kept.append)
        run = Run(self._run_request(row), _INLINE, place)
        try:
            async with run:
                await chain(run)
        except MovesOut as waiting:
            inherited = Inherited(scope=place.scope, spent=run.accounts.spent())
            await self._move_out(row, waiting.reason, inherited)
        except (FailureError, asyncio.CancelledError):
            if not kept:
                raise
        for stored in kept:
            result = stored.result
            self._put(row, result.outcome, result.error, stored)

    async def _run_apart(self, row: PreparedRow) -> None:
        """A run of its own for a pattern that takes many steps; it stores its outcome itself."""
        try:
            result: RunResult = await workflow.execute_child_workflow(
                self._request.plan.pattern,
                self._run_request(row),
                id=self._own_id(row),
                result_type=RunResult,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                search_attributes=self._attributes,
            )
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                self._put(row, Outcome.CANCELLED, _CANCELLED, apart=True)
                return
            info = failures.describe(error) or ErrorInfo(type="Unexpected", message="its run ended without a result")
            self._put(row, Outcome.FAILED, info, result=failures.carried_result(error), apart=True)
            return
        self._put(row, result.outcome, result.error, result=result, apart=True)

    async def _move_out(self, row: PreparedRow, reason: ErrorInfo, inherited: Inherited) -> None:
        """The document goes on by itself, and this batch without it."""
        request = self._run_request(row).model_copy(update={"inherited": inherited})
        with suppress(WorkflowAlreadyStartedError):  # an earlier batch of this id has moved it out, and it still waits
            await workflow.start_child_workflow(
                self._request.plan.pattern,
                request,
                id=self._own_id(row),
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=self._attributes,
                static_summary=f"row {row.row.row} of {self._request.batch_id}",
            )
        outcome = Outcome.NEEDS_APPROVAL if reason.type == NEEDS_APPROVAL else Outcome.PARKED
        self._put(row, outcome, reason, apart=True)

    def _run_request(self, row: PreparedRow) -> RunRequest:
        group = self._request
        document = row.row.document
        if row.document is not None:
            document = document.model_copy(update={"uri": f"blob:{row.document.sha256}"})
        return RunRequest(
            job=group.job, document=document, tenant=group.tenant, cache=group.cache, submitter=group.submitter
        )

    @property
    def _attributes(self) -> TypedSearchAttributes:
        group = self._request
        return TypedSearchAttributes([SearchAttributePair(JOB, group.job), SearchAttributePair(TENANT, group.tenant)])

    def _own_id(self, row: PreparedRow) -> str:
        return f"{self._request.batch_id}-{row.row.row}"

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def _put(
        self,
        row: PreparedRow,
        outcome: str,
        error: ErrorInfo | None = None,
        stored: StoreRequest | None = None,
        *,
        result: RunResult | None = None,
        apart: bool = False,
    ) -> None:
        """Puts the outcome of a row on the shelf, and counts it."""
        ended = RowOutcome(
            row=row.row.row,
            run_id=self._own_id(row) if apart else row.run_id,
            name=row.row.document.label,
            uri=row.row.document.uri,
            outcome=outcome,
            error=error,
            run=stored,
            cost_usd=result.cost_usd if result else Decimal(0),
        )
        self._parked = [*self._parked, error] if outcome == Outcome.PARKED and error else []
        self._shelf.put(ended, stored.result if stored else result)

    async def _after_one(self) -> None:
        """Stores what has gathered, and tells the batch, when it is time."""
        now = workflow.now()
        if self._shelf.is_due:
            with suppress(FailureError):  # the rows are still there, and the group's end tries once more
                await self._shelf.store()
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            await self._tell_batch()

    async def _tell_batch(self) -> None:
        try:
            batch = workflow.get_external_workflow_handle(self._request.batch_id)
            await batch.signal(GROUP_PROGRESS_SIGNAL, self._progress())
        except FailureError:
            workflow.logger.info("the batch has ended and could not be told")

    def _progress(self) -> GroupProgress:
        return GroupProgress(first=self._request.first, counts=self._shelf.counts)

    async def _stop(self, rows: list[PreparedRow]) -> None:
        """Cancelled: what is in flight ends as such, and so does what never began."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for row in rows:
            self._put(row, Outcome.CANCELLED, _CANCELLED)
        await self._shelf.store()
        await self._tell_batch()
