"""The approval pattern: people decide on an answer, once, on exactly what they saw."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        Act,
        ActCheck,
        ActChecked,
        ApprovalNote,
        ApprovalRequest,
        ApprovalResult,
        ApprovalState,
        EventKind,
        Notice,
        Outcome,
        Receipt,
        RunResult,
        StoreRequest,
        Verdict,
    )
    from engross.names import APPROVAL, APPROVAL_QUERY, DECIDE, NOTICE, is_name
    from workflows import failures, steps, story
    from workflows.attributes import JOB, OUTCOME, TENANT
    from workflows.decisions import Decisions
    from workflows.window import to_its_end

# An execution takes 2,000 updates; what counts or is refused here is far from that when the next one begins.
_MOST_ACTS: Final = 500
_APPROVED: Final = (Verdict.APPROVED, Verdict.CORRECTED)
_TOLD: Final = {
    EventKind.OPENED,
    EventKind.REMINDED,
    EventKind.ESCALATED,
    EventKind.DELEGATED,
    EventKind.EXPIRED,
    EventKind.CLOSED,
}


@workflow.defn(name=APPROVAL, failure_exception_types=failures.OF_OUR_OWN)
class Approval:
    """Waits until enough people have decided, reminds and escalates, and never approves by itself."""

    @workflow.init
    def __init__(self, request: ApprovalRequest | None = None) -> None:
        self._request = request = request or ApprovalRequest()
        self._id = workflow.info().workflow_id
        self._decisions = Decisions(self._id, request, workflow.now())
        self._kept = self._decisions.state.revision if request.state else 0  # the revision that the inbox has
        self._acts = 0
        self._has_channels = False
        self._telling: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, request: ApprovalRequest | None = None) -> ApprovalResult:
        self._check_request()
        try:
            await self._keep()
            while self._decisions.is_open:
                await self._news_or_time()
                self._decisions.on_time(workflow.now())
                await self._keep()
                await self._go_on_as_new()
        except asyncio.CancelledError:
            self._decisions.withdraw(workflow.now())
            await to_its_end(self._close())
            raise
        await to_its_end(self._close())
        return self._result()

    # --- what people do ---------------------------------------------------------------------------------------------

    @workflow.update(
        name=DECIDE,
        description="Approve, reject, correct or ask for another attempt; also claim, release, delegate, extend."
        " `engross approvals approve ID --print` gives the JSON.",
    )
    async def _decide(self, act: Act) -> Receipt:
        repeat = self._decisions.repeated(act)
        if repeat:
            return repeat
        try:
            return await self._counted(act)
        except ApplicationError as error:
            self._decisions.refuse(act, error, workflow.now(), by_signal=False)
            raise

    @_decide.validator
    def _check_act(self, act: Act) -> None:
        self._decisions.check(act, workflow.now())

    @workflow.signal(
        name=DECIDE,
        description="As the update of this name, for those who signal; refusals show in the query and in the audit.",
    )
    async def _decide_by_signal(self, act: Act) -> None:
        try:
            self._decisions.check(act, workflow.now())
            await self._counted(act)
        except ApplicationError as error:
            self._decisions.refuse(act, error, workflow.now(), by_signal=True)

    @workflow.query(name=APPROVAL_QUERY, description="Where this approval stands, and what did not count.")
    def _state(self) -> ApprovalState:
        return self._decisions.state

    async def _counted(self, act: Act) -> Receipt:
        """The receipt, once the act is in the inbox and in the audit as well."""
        self._acts += 1
        state, request = self._decisions.state, self._request
        question = ActCheck(
            act=act,
            approval_id=self._id,
            tenant=request.tenant,
            job=request.job,
            step=request.step,
            asked=state.asked,
            before=state.answer,
        )
        try:
            checked: ActChecked = await steps.check_act.here(question, summary=f"check {act.kind.value} by {act.by}")
        except (ActivityError, ApplicationError) as error:
            info = failures.caught(error)
            raise failures.named(info.type, info.message) from None
        receipt = self._decisions.count(act, checked, workflow.now())
        revision = self._decisions.state.revision
        await workflow.wait_condition(lambda: self._kept >= revision)
        return receipt

    # --- the story --------------------------------------------------------------------------------------------------

    def _check_request(self) -> None:
        request = self._request
        if request.unusable or not is_name(request.job) or not is_name(request.tenant):
            told = request.unusable or '"job" and "tenant" must be names'
            raise failures.named("InvalidRequest", f"{told}; a run starts its approval by itself")
        if workflow.info().typed_search_attributes.get(JOB) is None:
            workflow.upsert_search_attributes([JOB.value_set(request.job), TENANT.value_set(request.tenant)])

    async def _news_or_time(self) -> None:
        at, what = self._decisions.next_at()
        revision = self._decisions.state.revision
        left = max(timedelta(0), at - workflow.now())
        try:
            await workflow.wait_condition(
                lambda: self._decisions.state.revision != revision or bool(self._decisions.news),
                timeout=left,
                timeout_summary=what,
            )
        except TimeoutError:
            return

    async def _keep(self) -> None:
        """Puts what is new into the inbox and the audit, and tells those who are to hear of it."""
        while self._decisions.news:
            news, state = tuple(self._decisions.news), self._decisions.state
            note = ApprovalNote(
                approval_id=self._id,
                attempt=workflow.info().first_execution_run_id,
                request=self._request.model_copy(update={"state": None}),
                state=state,
                events=news,
            )
            self._show(state)
            # Not where the workflow runs: what people did must be in the history before it is in the audit.
            noted = await steps.note_approval(note, summary=f"keep: {', '.join(each.kind.value for each in news)}")
            del self._decisions.news[: len(news)]
            self._kept = state.revision
            self._has_channels = noted.has_channels
            for event in news:
                self._tell(event.kind)

    def _tell(self, kind: EventKind) -> None:
        if kind in _TOLD and self._has_channels:
            task = asyncio.create_task(self._start_notice(kind))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _start_notice(self, kind: EventKind) -> None:
        """A workflow of its own: a mail server that is down for a day must not hold up what was decided."""
        request, state = self._request, self._decisions.state
        to = state.asked if kind is not EventKind.DELEGATED else state.asked[-1:]
        notice = Notice(
            approval_id=self._id, kind=kind, to=to, request=request.model_copy(update={"state": None}), state=state
        )
        attributes = [SearchAttributePair(JOB, request.job), SearchAttributePair(TENANT, request.tenant)]
        await workflow.start_child_workflow(
            NOTICE,
            notice,
            id=f"{self._id}-{kind.value}-{state.revision}",
            parent_close_policy=ParentClosePolicy.ABANDON,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"tell {', '.join(to)}: {kind.value}",
        )

    async def _go_on_as_new(self) -> None:
        """Goes on in a new execution before this one is too long; nobody's act is under way then."""
        if self._acts < _MOST_ACTS and not workflow.info().is_continue_as_new_suggested():
            return
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() or bool(self._decisions.news))
        if self._decisions.is_open and not self._decisions.news and workflow.all_handlers_finished():
            await self._told()
            workflow.continue_as_new(self._request.model_copy(update={"state": self._decisions.state}))

    async def _close(self) -> None:
        """Whoever acted has an answer, the inbox and the audit have everything, and the end is told."""
        while self._decisions.news or not workflow.all_handlers_finished():
            await self._keep()
            await workflow.wait_condition(lambda: workflow.all_handlers_finished() or bool(self._decisions.news))
        self._tell(EventKind.CLOSED)
        await self._told()
        workflow.upsert_search_attributes([OUTCOME.value_set(self._decisions.state.verdict.value)])
        if not self._request.run_id and self._decisions.state.verdict is not Verdict.WITHDRAWN:
            await self._store()

    async def _told(self) -> None:
        if self._telling:
            await asyncio.gather(*self._telling, return_exceptions=True)

    async def _store(self) -> None:
        """Nobody waits for this approval: what was approved becomes the official copy of a run of its own id."""
        request, state = self._request, self._decisions.state
        is_approved = state.verdict in _APPROVED
        result = RunResult(
            run_id=self._id,
            job=request.job,
            tenant=request.tenant,
            outcome=Outcome.DONE if is_approved else Outcome.REJECTED,
            answer=state.answer if is_approved else None,
            error=None if is_approved else failures.turned_down(state.verdict, state.asked, self._id),
        )
        store = StoreRequest(
            result=result,
            started_at=workflow.info().start_time.isoformat(),
            document_name=request.document_name,
            document=request.document,
            attempt=workflow.info().run_id,
        )
        await steps.store_answer(store, summary=f"store: {result.outcome.value}")

    def _result(self) -> ApprovalResult:
        state = self._decisions.state
        return ApprovalResult(
            approval_id=self._id,
            verdict=state.verdict,
            shown=state.shown,
            answer=state.answer if state.verdict in _APPROVED else None,
            by=state.decided_by,
            note=state.note,
            reason=state.reason,
            at=state.decided_at,
            key=state.receipts[-1].key if state.receipts else "",
        )

    def _show(self, state: ApprovalState) -> None:
        workflow.set_current_details(story.approval_details(self._request, state))


@workflow.defn(name=NOTICE, failure_exception_types=failures.OF_OUR_OWN)
class Tell:
    """Tells people of one event by every channel that is set up."""

    @workflow.run
    async def run(self, notice: Notice) -> None:
        await steps.send_notice(notice, summary=f"{notice.kind.value}: tell {', '.join(notice.to)}")
