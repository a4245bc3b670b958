"""One run over one document: asks, climbs the repair ladder, keeps accounts and ledger, and records how it ended."""

import asyncio
import math
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from engross.contracts import (
    BlobRef,
    BudgetRaise,
    BudgetState,
    ChildParked,
    ErrorInfo,
    Given,
    Inherited,
    LedgerEntry,
    Outcome,
    Prepared,
    Reply,
    ReplyStatus,
    RunBudget,
    RunRequest,
    RunResult,
    StepPlan,
    StoreRequest,
    TextRef,
)
from workflows import failures, story
from workflows.accounts import Accounts, Ending
from workflows.children import Children
from workflows.gate import Gate, Passed
from workflows.ladder import Host, Ladder, Question
from workflows.parking import Parking
from workflows.place import OwnWorkflow, Place
from workflows.telling import tell, tell_end
from workflows.window import to_its_end


@dataclass(frozen=True)
class Answer:
    """A checked answer: where it is, its size in tokens, what its step tells, and whether it took a second try."""

    ref: BlobRef
    tokens: int
    told: dict[str, float | str]
    is_repaired: bool

    def number(self, name: str) -> float | None:
        """The number told as `name`; None when there is none."""
        try:
            value = float(self.told[name])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None


class Run:
    """`async with Run(request, pattern) as run:` gives the body its steps; leaving it stores the outcome.

    However the body ends, one row says so: a stored answer is done; an answer only a person can settle ends the run as
    `needs_approval`; every other named failure is recorded, then fails the workflow with its own type.
    """

    def __init__(self, request: RunRequest | None, pattern: str, place: Place | None = None) -> None:
        # Started by hand without input, or with null.
        self.request = request = request or RunRequest()
        self._pattern = pattern
        self._place = place or OwnWorkflow(request)
        self._prepared: Prepared | None = None
        self._answer: BlobRef | None = None
        self.ledger: list[LedgerEntry] = []
        self.ledger_parts: list[BlobRef] = []
        self.accounts = Accounts(self._place.account, request.inherited)
        self._parking = self._place.parking(self._tell)
        self.children = Children(request.tenant, forget=lambda run_id: self._parking.note(run_id, None))
        self._gate = Gate(self, self._place)
        self._result: RunResult | None = None

    @property
    def result(self) -> RunResult:
        """The result, once the run has been left."""
        if self._result is None:
            raise LookupError("the run has not ended")
        return self._result

    @property
    def prepared(self) -> Prepared:
        """What `prepare` gave."""
        if self._prepared is None:
            raise LookupError("the run is not prepared")
        return self._prepared

    @property
    def is_prepared(self) -> bool:
        return self._prepared is not None

    @property
    def parked(self) -> Parking:
        """What this run waits for."""
        return self._parking

    @property
    def run_id(self) -> str:
        return self._place.run_id

    # --- steps ------------------------------------------------------------------------------------------------------

    async def prepare(self) -> Prepared:
        """Resolves the plan, takes the document in and extracts its text."""
        summary = f"read the document for {self.request.job} of {self.request.tenant}"
        self._prepared = prepared = await self._place.prepare(self.request, summary)
        if prepared.plan.pattern != self._pattern:
            raise failures.named(
                "InvalidRequest",
                f"job {self.request.job!r} runs as workflow type {prepared.plan.pattern}, not {self._pattern}",
            )
        self.accounts.cap(prepared.plan.budget_usd)
        self._tell()
        return prepared

    async def ask(
        self,
        step: StepPlan,
        text: TextRef,
        previous: BlobRef | None = None,
        *,
        given: tuple[Given, ...] = (),
        reads_text: bool = True,
        sources: tuple[int, ...] = (),
        label: str = "",
    ) -> Answer:
        """One checked answer of `step`: the model's, or what the repair ladder made of it; see `Question`.

        Raises what the ladder raises, and the failure that a reply without an answer stands for.
        """
        question = Question(
            job=self.request.job,
            step=step,
            text=text,
            previous=previous,
            given=given,
            reads_text=reads_text,
            sources=sources,
            label=label,
            cache=self.request.cache,
            scope=self._place.scope,
        )
        ladder = Ladder(question, Host(note=self._note, budget=self.accounts.budget, parking=self._parking))
        reply = await ladder.climb()
        self._gate.remember(question, reply)
        if reply.status is not ReplyStatus.VALID or reply.answer is None:
            raise failures.of_reply(reply)
        return Answer(reply.answer, reply.answer_tokens, reply.told, ladder.repairs > 0)

    async def try_to_ask(self, step: StepPlan, text: TextRef, **how: Any) -> Answer | ErrorInfo:
        """As `ask`, where a failure isn't the run's end: gives its name."""
        try:
            return await self.ask(step, text, **how)
        except (ActivityError, ApplicationError) as error:
            return failures.caught(error)

    def enter(self, *entries: LedgerEntry) -> None:
        """Names the final state of parts of the run."""
        self.ledger += entries
        self._tell()

    async def store(
        self, answer: BlobRef | None, *, missing: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        """Stores the official copy; with `missing` parts it is a partial one.

        Where the job says so people decide first; see `Gate.passed` for what it raises when they turn it down.
        """
        if answer is None:
            raise LookupError("no step gave an answer")
        self._answer = answer
        await self._store(await self._gate.passed(answer, flags=(*missing, *flags)), missing, flags)

    async def _store(self, passed: Passed, missing: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> None:
        self._answer = passed.answer
        outcome = Outcome.PARTIAL if missing else Outcome.DONE
        await self._record(Ending(outcome, passed.answer, None, missing, flags, passed.mark))

    def propose(self, answer: BlobRef | None) -> None:
        """What a person gets to see when the run ends without an official copy."""
        self._answer = answer

    def heritage(self) -> Inherited:
        """What a child run shares with this one."""
        scope = self._place.scope or self._place.attempt
        return Inherited(parent=self.run_id, budget=self.accounts.budget(), scope=scope)

    def _note(self, reply: Reply, is_repair: bool) -> None:
        self.accounts.note(reply, is_repair=is_repair)
        self._tell()

    def _tell(self, outcome: Outcome | None = None) -> None:
        told = story.details(self._prepared, self.accounts, self.ledger, self._parking.reason, outcome)
        self._place.show(told)

    # --- what it may be told ----------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Tries again now what waits."""
        self._parking.wake()
        self.children.wake()

    def child_parked(self, news: ChildParked) -> None:
        """A child run waits, so this one does."""
        reason = ErrorInfo(type=news.type, message=news.message) if news.type else None
        if news.run_id in self.children:
            self._parking.note(news.run_id, reason)

    def raise_budget(self, more: BudgetRaise) -> BudgetState:
        """Lets this run spend more, and tries again."""
        self.accounts.lift(more.by_usd)
        tell("budget raised", run_id=self.run_id, request=self.request, by_usd=float(more.by_usd))
        self._spread_budget()
        return self.budget_state()

    def new_budget(self, budget: RunBudget) -> None:
        """The run that this one is a part of may spend so much."""
        self.accounts.lend(budget)
        self._spread_budget()

    def _spread_budget(self) -> None:
        budget = self.accounts.budget()
        if budget:
            self.children.lend(budget)
        self._parking.wake()

    def budget_state(self) -> BudgetState:
        """What this run may spend, and has spent."""
        reason = self._parking.reason
        return self.accounts.state(reason.message if reason else "")

    # --- the end ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        complaint = self.request.complaint()
        if complaint:
            raise failures.named("InvalidRequest", complaint)
        self._place.introduce(self.request)
        tell("run begun", run_id=self.run_id, request=self.request)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return error is not None and await self._end_early(error)

    async def _end_early(self, error: BaseException) -> bool:
        """Whether what the body raised is dealt with: recorded, or settled by people."""
        if is_cancelled_exception(error):
            await self._record(Ending(Outcome.CANCELLED, self._answer, failures.CANCELLED))
            return False
        info = failures.describe(error)
        if info is None:
            return False
        if info.type in failures.FOR_A_PERSON and self._gate.asks_people:
            await self._let_people_settle(info)
        elif info.type in failures.NO_FAILURE:
            # What was turned down must not look like an official copy: its approval still shows it.
            is_rejected = info.type in failures.TURNED_DOWN
            outcome, answer = (Outcome.REJECTED, None) if is_rejected else (Outcome.NEEDS_APPROVAL, self._answer)
            await self._record(Ending(outcome, answer, info))
        else:
            result = await self._record(Ending(Outcome.FAILED, self._answer, info))
            raise ApplicationError(info.message, result, type=info.type, non_retryable=True) from None
        return True

    async def _let_people_settle(self, info: ErrorInfo) -> None:
        """Where no model could give an answer that holds, people can: they get to see the best there is."""
        try:
            await self._store(await self._gate.passed(self._answer, info))
        except (FailureError, asyncio.CancelledError) as error:
            if not await self._end_early(error):
                raise

    async def _record(self, ending: Ending) -> RunResult:
        result = self.accounts.result(self.run_id, self.request, ending)
        request = StoreRequest(
            result=result,
            started_at=self._place.started_at.isoformat(),
            document_name=self.request.document.label,
            document=self._prepared.document if self._prepared else None,
            attempt=self._place.attempt,
            spent=self.accounts.spent(),
            ledger=tuple(self.ledger),
            ledger_parts=tuple(self.ledger_parts),
        )
        here = self._prepared is not None and self._prepared.plan.stores_here
        await to_its_end(self._place.store(request, here=here))  # what is being stored was paid for
        self._result = result
        self._place.show_end(ending.outcome)
        tell_end(result, self.request)
        self._tell(ending.outcome)
        return result
