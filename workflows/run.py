"""One run over one document: asks, climbs the repair ladder, keeps the accounts, and records how it ended."""

import asyncio
from decimal import Decimal
from types import TracebackType
from typing import Self

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, is_cancelled_exception

from engross.contracts import (
    BlobRef,
    ErrorInfo,
    Outcome,
    Prepared,
    Reply,
    ReplySource,
    ReplyStatus,
    RunRequest,
    RunResult,
    Spent,
    StepPlan,
    StoreRequest,
    TextRef,
    Usage,
)
from engross.names import JOB_ATTRIBUTE, OUTCOME_ATTRIBUTE, TENANT_ATTRIBUTE
from workflows import failures, steps, story
from workflows.ladder import Ladder, Question

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
        self._replies: list[Reply] = []
        self._repairs = 0
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
        self._tell()
        return prepared

    async def ask(self, step: StepPlan, text: TextRef, previous: BlobRef | None = None) -> BlobRef:
        """One checked answer of `step`: the model's, or what the repair ladder made of it."""
        question = Question(job=self._request.job, step=step, text=text, previous=previous, cache=self._request.cache)
        reply = await Ladder(question, self._note).climb()
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
        self._replies.append(reply)
        self._repairs += is_repair
        self._tell()

    def _tell(self, outcome: Outcome | None = None) -> None:
        workflow.set_current_details(story.details(self._prepared, self._replies, outcome))

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
        result = self._sum_up(outcome, error)
        request = StoreRequest(
            result=result,
            started_at=info.start_time.isoformat(),
            document_name=self._request.document.label,
            document=self._prepared.document if self._prepared else None,
            attempt=info.run_id,
            spent=tuple(_spent(reply) for reply in self._replies if reply.asked is not None),
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

    def _sum_up(self, outcome: Outcome, error: ErrorInfo | None) -> RunResult:
        last = self._replies[-1] if self._replies else None
        prices = [reply.cost_usd for reply in self._replies]
        known = [price for price in prices if price is not None]
        return RunResult(
            run_id=workflow.info().workflow_id,
            job=self._request.job,
            tenant=self._request.tenant,
            outcome=outcome,
            answer=self._answer,
            error=error,
            usage=sum((reply.usage for reply in self._replies), Usage()),
            cost_usd=sum(known, Decimal(0)) if len(known) == len(prices) else None,
            model=last.model if last else "",
            prompt_version=last.prompt_version if last else "",
            calls=sum(reply.calls for reply in self._replies),
            repairs=self._repairs,
            cached=sum(reply.source is ReplySource.CACHED for reply in self._replies),
            maybe_billed=sum(reply.maybe_billed for reply in self._replies),
            problems=last.problems if last and last.status is ReplyStatus.INVALID else (),
        )


def _spent(reply: Reply) -> Spent:
    return Spent(
        step=reply.step,
        model=str(reply.asked),
        status=reply.status,
        source=reply.source,
        calls=reply.calls,
        usage=reply.usage,
        cost_usd=reply.cost_usd,
        maybe_billed=reply.maybe_billed,
    )
