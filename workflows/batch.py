"""The batch pattern: thousands of documents, in a sliding window of child runs that read groups of them."""

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ChildWorkflowError, FailureError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        BatchCounts,
        BatchPlan,
        BatchProgress,
        BatchRequest,
        BatchState,
        GroupProgress,
        GroupRequest,
        GroupShare,
        WindowChange,
    )
    from engross.names import (
        BATCH,
        BATCH_GROUP,
        GROUP_PROGRESS_SIGNAL,
        GROUP_SHARE_SIGNAL,
        PAUSE_UPDATE,
        PROGRESS_QUERY,
        SET_WINDOW_UPDATE,
        UNPAUSE_UPDATE,
    )
    from workflows import failures, steps, story
    from workflows.attributes import JOB, TENANT
    from workflows.batch_window import Window


@workflow.defn(name=BATCH, failure_exception_types=failures.OF_OUR_OWN)
class Batch:
    """One execution reads some ten thousand documents; then it continues as new, once the groups in flight have ended.

    So the groups are children of the execution that started them, cancelled with it, and none of their news gets lost.
    """

    @workflow.init
    def __init__(self, request: BatchRequest | None = None) -> None:
        self._request = request = request or BatchRequest()
        state = request.state or BatchState(at_once=request.at_once, started_at=workflow.now())
        self._started_at = state.started_at or workflow.now()
        self._plan = state.plan
        self._next = state.next_row
        self._counts = state.counts
        self._window = Window(state.at_once, state.is_paused)
        self._groups: dict[int, asyncio.Task[None]] = {}
        self._partly: dict[int, BatchCounts] = {}  # what groups in flight have told so far
        self._telling: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, request: BatchRequest | None = None) -> BatchProgress:
        plan = self._plan = self._plan or await self._make_plan()
        try:
            while self._next <= plan.count and not workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(lambda: self._window.has_room(self._groups_left(plan)))
                self._start_group(plan)
            await workflow.wait_condition(lambda: not self._groups)
        except asyncio.CancelledError:
            await self._stop_groups()
            raise
        if self._next <= plan.count:
            workflow.continue_as_new(self._request.model_copy(update={"state": self._state(plan)}))
        return self._progress()

    async def _make_plan(self) -> BatchPlan:
        complaint = self._request.complaint()
        if complaint:
            raise failures.named("InvalidRequest", complaint)
        workflow.upsert_search_attributes([JOB.value_set(self._request.job), TENANT.value_set(self._request.tenant)])
        try:
            return await steps.plan_batch(self._request, summary=f"read the manifest for {self._request.job}")
        except FailureError as error:
            info = failures.describe(error)
            if info is None:
                raise
            raise failures.named(info.type, info.message) from None

    def _state(self, plan: BatchPlan) -> BatchState:
        return BatchState(
            next_row=self._next,
            counts=self._counts,
            at_once=self._window.at_once,
            is_paused=self._window.is_paused,
            plan=plan,
            started_at=self._started_at,
        )

    # --- groups -----------------------------------------------------------------------------------------------------

    def _groups_left(self, plan: BatchPlan) -> int:
        """Those in flight, and those to come."""
        return len(self._groups) + -(-(plan.count - self._next + 1) // self._request.group)

    def _start_group(self, plan: BatchPlan) -> None:
        first = self._next
        self._next = min(first + self._request.group, plan.count + 1)
        request = GroupRequest(
            batch_id=workflow.info().workflow_id,
            job=self._request.job,
            tenant=self._request.tenant,
            cache=self._request.cache,
            submitter=self._request.submitter,
            plan=plan.plan,
            listing=plan.listing,
            first=first,
            last=self._next - 1,
            at_once=self._window.admit(first, self._groups_left(plan) + 1),
        )
        self._groups[first] = asyncio.create_task(self._run_group(request))

    async def _run_group(self, request: GroupRequest) -> None:
        first = request.first
        attributes = [SearchAttributePair(JOB, request.job), SearchAttributePair(TENANT, request.tenant)]
        try:
            group = await workflow.start_child_workflow(
                BATCH_GROUP,
                request,
                id=self._group_id(first),
                result_type=GroupProgress,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                search_attributes=TypedSearchAttributes(attributes),
                static_summary=f"rows {first} to {request.last}",
            )
            # Who pauses a batch, or changes its window, may have been quicker than the group's start.
            share = self._window.shares[first]
            if share != request.at_once:
                await group.signal(GROUP_SHARE_SIGNAL, GroupShare(at_once=share))
            ended: GroupProgress = await group
            counts = ended.counts
        except (ChildWorkflowError, asyncio.CancelledError) as error:
            # Cancelled, or ended by an operator: what it told before is all there is.
            counts = self._partly.get(first, BatchCounts())
            if not is_cancelled_exception(error):
                counts += BatchCounts(failed=request.last - first + 1 - counts.ended)
        self._partly.pop(first, None)
        self._counts += counts
        self._window.release(first)
        del self._groups[first]
        self._tell()
        if self._window.has_starved:
            self._share_out()

    async def _stop_groups(self) -> None:
        groups = list(self._groups.values())
        for group in groups:
            group.cancel()
        await asyncio.gather(*groups, return_exceptions=True)

    def _group_id(self, first: int) -> str:
        return f"{workflow.info().workflow_id}-rows-{first}"

    def _share_out(self) -> None:
        for first, share in self._window.changes().items():
            task = asyncio.create_task(self._tell_group(first, share))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell_group(self, first: int, share: int) -> None:
        try:
            handle = workflow.get_external_workflow_handle(self._group_id(first))
            await handle.signal(GROUP_SHARE_SIGNAL, GroupShare(at_once=share))
        except FailureError:
            workflow.logger.info("a group has ended, or is told when it has started")

    # --- what it may be told, and asked -----------------------------------------------------------------------------

    @workflow.signal(name=GROUP_PROGRESS_SIGNAL, description="A group tells how far it is.")
    def _group_progress(self, news: GroupProgress) -> None:
        if news.first in self._groups:
            self._partly[news.first] = news.counts
            self._tell()

    @workflow.update(name=SET_WINDOW_UPDATE, description='Documents in flight from now on: {"at_once": 32}.')
    def _set_window(self, change: WindowChange) -> BatchProgress:
        self._window.at_once = change.at_once
        self._share_out()
        return self._progress()

    @workflow.update(name=PAUSE_UPDATE, description="Start no more documents; those in flight end.")
    def _pause(self) -> BatchProgress:
        self._window.is_paused = True
        self._share_out()
        return self._progress()

    @workflow.update(name=UNPAUSE_UPDATE, description="Go on after a pause.")
    def _unpause(self) -> BatchProgress:
        self._window.is_paused = False
        self._share_out()
        return self._progress()

    @workflow.query(name=PROGRESS_QUERY, description="How far it is, what it costs, when it will be done.")
    def _progress(self) -> BatchProgress:
        counts = sum(self._partly.values(), self._counts)
        total = self._plan.count if self._plan else 0
        seconds = max(0.0, (workflow.now() - self._started_at).total_seconds())
        pace = counts.ended / seconds if seconds else 0.0
        started = sum(min(self._request.group, total - first + 1) for first in self._groups)
        told = started - sum(partly.ended for partly in self._partly.values())
        return BatchProgress(
            batch_id=workflow.info().workflow_id,
            job=self._request.job,
            tenant=self._request.tenant,
            total=total,
            counts=counts,
            running=min(told, sum(self._window.shares.values())),
            at_once=self._window.at_once,
            is_paused=self._window.is_paused,
            started_at=self._started_at,
            seconds=seconds,
            per_minute=60 * pace,
            eta_seconds=(total - counts.ended) / pace if pace and not self._window.is_paused else None,
        )

    def _tell(self) -> None:
        workflow.set_current_details(story.batch_details(self._progress()))
