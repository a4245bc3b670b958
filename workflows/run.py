"""One run over one document: asks, climbs the repair ladder, keeps the accounts, and records how it ended."""

import asyncio
from types import TracebackType
from typing import Self

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, is_cancelled_exception

from engross.contracts import (
    BlobRef,
    BudgetRaise,
    BudgetState,
    ErrorInfo,
    Outcome,
    Prepared,
    Reply,
    ReplyStatus,
    RunRequest,
    RunResult,
    StepPlan,
    StoreRequest,
    TextRef,
)
from engross.names import JOB_ATTRIBUTE, OUTCOME_ATTRIBUTE, TENANT_ATTRIBUTE
from workflows import failures, steps, story
from workflows.accounts import Accounts
from workflows.ladder import Host, Ladder, Question
from workflows.parking import Parking

_JOB = SearchAttributeKey.for_keyword(JOB_ATTRIBUTE)
_TENANT = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
_OUTCOME = SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)


class Run:
    """`async with Run(request, pattern) as run:` gives the body its steps; leaving it stores the outcome.

    However the body ends, one row says so: a stored answer is done; an answer only a person can settle ends the run as
    `needs_approval`; every other named failure is recorded, then fails the workflow with its own type.
    """

    def __init__(self, request: RunRequest | None, pattern: str) -> None:
        # Started by hand without input, or with null.
        self._request = request = request or RunRequest()
        self._pattern = pattern
        self._label = f"{request.job} of {request.tenant}"
        self._prepared: Prepared | None = None
        self._answer: BlobRef | None = None
        self._accounts = Accounts()
        self._parking = Parking(self._tell)
        self._result: RunResult | None = None

    @property
    def result(self) -> RunResult:
        """The result, once the run has been left."""
        if self._result is None:
            raise LookupError("the run has not ended")
        return self._result

    # --- steps ------------------------------------------------------------------------------------------------------

    async def prepare(self) -> Prepared:
        """Resolves the plan, takes the document in and extracts its text."""
        self._prepared = prepared = await steps.prepare(self._request, summary=f"read the document for {self._label}")
        if prepared.plan.pattern != self._pattern:
            raise failures.named(
                "InvalidRequest",
                f"job {self._request.job!r} runs as workflow type {prepared.plan.pattern}, not {self._pattern}",
            )
        self._accounts.cap(prepared.plan.budget_usd)
        self._tell()
        return prepared

    async def ask(self, step: StepPlan, text: TextRef, previous: BlobRef | None = None) -> BlobRef:
        """One checked answer of `step`: the model's, or what the repair ladder made of it."""
        question = Question(job=self._request.job, step=step, text=text, previous=previous, cache=self._request.cache)
        host = Host(note=self._note, budget=self._accounts.budget, parking=self._parking)
        reply = await Ladder(question, host).climb()
        if reply.status is not ReplyStatus.VALID or reply.answer is None:
            raise failures.of_reply(reply)
        return reply.answer

    async def store(self, answer: BlobRef | None) -> None:
        """Stores the official copy."""
        if answer is None:
            raise LookupError("no step gave an answer")
        self._answer = answer
        await self._record(Outcome.DONE)

    def _note(self, reply: Reply, is_repair: bool) -> None:
        self._accounts.note(reply, is_repair=is_repair)
        self._tell()

    def _tell(self, outcome: Outcome | None = None) -> None:
        told = story.details(self._prepared, self._accounts, self._parking.reason, outcome)
        workflow.set_current_details(told)

    # --- what people may tell it ------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Tries again now what waits."""
        self._parking.wake()

    def raise_budget(self, more: BudgetRaise) -> BudgetState:
        """Lets this run spend more, and tries again."""
        self._accounts.lift(more.by_usd)
        workflow.logger.info("budget raised", extra={"by_usd": str(more.by_usd), "by": more.by})
        self.wake()
        return self.budget_state()

    def budget_state(self) -> BudgetState:
        """What this run may spend, and has spent."""
        reason = self._parking.reason
        return self._accounts.state(reason.message if reason else "")

    # --- the end ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        complaint = self._request.complaint()
        if complaint:
            raise failures.named("InvalidRequest", complaint)
        if workflow.info().typed_search_attributes.get(_JOB) is None:  # started by hand
            workflow.upsert_search_attributes(
                [_JOB.value_set(self._request.job), _TENANT.value_set(self._request.tenant)]
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if is_cancelled_exception(error):
            await self._record(Outcome.CANCELLED, ErrorInfo(type="Cancelled", message="cancelled by request"))
            return False
        info = failures.describe(error)
        if info is None:
            return False
        if info.type in failures.FOR_A_PERSON:
            await self._record(Outcome.NEEDS_APPROVAL, info)
            return True
        result = await self._record(Outcome.FAILED, info)
        raise ApplicationError(info.message, result, type=info.type, non_retryable=True) from None

    async def _record(self, outcome: Outcome, error: ErrorInfo | None = None) -> RunResult:
        info = workflow.info()
        result = self._accounts.result(self._request, outcome, self._answer, error)
        request = StoreRequest(
            result=result,
            started_at=info.start_time.isoformat(),
            document_name=self._request.document.label,
            document=self._prepared.document if self._prepared else None,
            attempt=info.run_id,
            spent=self._accounts.spent(),
        )
        storing = asyncio.ensure_future(steps.store_answer(request, summary=f"store: {outcome.value}"))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await storing  # too late to cancel: what is being stored was paid for
        self._result = result
        workflow.upsert_search_attributes([_OUTCOME.value_set(outcome.value)])
        self._tell(outcome)
        return result
