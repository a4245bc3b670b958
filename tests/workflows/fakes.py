"""Activities that answer from a script: what a workflow test says, in order or by a rule."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from temporalio import activity
from temporalio.common import Priority
from temporalio.exceptions import ApplicationError

from engross.contracts import (
    SEGMENT_CHUNKS,
    Approval,
    AskRequest,
    BlobRef,
    Chunk,
    Chunks,
    ChunksRequest,
    LedgerRequest,
    ModelRef,
    Options,
    Plan,
    Prepared,
    Problem,
    RepairRequest,
    Reply,
    ReplyStatus,
    RunRequest,
    Split,
    SplitRequest,
    StepPlan,
    Stored,
    StoreRequest,
    TextRef,
    Usage,
)

TENANT = "acme"
# What a model says to a request: in tests with many calls at once, replies can't be in order.
Rule: TypeAlias = Callable[[AskRequest], Reply | Exception]


def blob(name: str) -> BlobRef:
    return BlobRef(tenant=TENANT, sha256=name, size=len(name))


def step(name: str = "extract", repairs: int = 1, models: Sequence[str] = ("stand-in",)) -> StepPlan:
    return StepPlan(
        name=name,
        prompt=blob("prompt"),
        prompt_version="p1",
        schema_version="s1",
        route=tuple(ModelRef(provider="openai", model=model) for model in models),
        max_output_tokens=100,
        repairs=repairs,
    )


def reply(status: ReplyStatus = ReplyStatus.VALID, *, cost: str | None = "0.001", calls: int = 1) -> Reply:
    """A reply of `status`, shaped as the real activities shape it."""
    return Reply(
        status=status,
        step="extract",
        model="stand-in",
        prompt_version="p1",
        answer=blob("answer") if status is ReplyStatus.VALID else None,
        draft=blob("draft") if status is ReplyStatus.INVALID else None,
        problems=(Problem(field="total", code="missing"),) if status is ReplyStatus.INVALID else (),
        usage=Usage(input_tokens=100 * calls, output_tokens=10 * calls),
        cost_usd=None if cost is None else Decimal(cost),
        calls=calls,
        asked=ModelRef(provider="openai", model="stand-in") if calls else None,
    )


def answered(request: AskRequest, *, tokens: int = 10, told: dict[str, float | str] | None = None) -> Reply:
    """A valid reply whose answer is named by what was read: `map(chunk-1)`, `reduce(map(chunk-1),map(chunk-2))`."""
    read = ",".join(given.answer.sha256 for given in request.given) if request.given else request.text.sha256
    update = {
        "step": request.step.name,
        "answer": blob(f"{request.step.name}({read})"),
        "answer_tokens": tokens,
        "told": told or {},
    }
    return reply().model_copy(update=update)


def chunks(count: int, tokens: int = 100) -> tuple[Chunk, ...]:
    """Chunks of 1,000 characters, ten to a page."""
    return tuple(
        Chunk(
            number=number,
            sha256=f"chunk-{number}",
            size=1000,
            start=(number - 1) * 1000,
            end=number * 1000,
            tokens=tokens,
            first_page=(number - 1) // 10 + 1,
            last_page=(number - 1) // 10 + 1,
        )
        for number in range(1, count + 1)
    )


def _already_set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class ScriptedActivities:
    """`replies` and `fixes` are used up in order; an exception among them is raised. A `rule` replaces `replies`.

    `plans` are those of other jobs, by name. A chunk is divided into so many `halves`, or with `split_error`.
    `is_plain` says whether `prepare_plain` can read the document. With `gate` cleared, calls wait in `waiting`.
    """

    replies: list[Reply | Exception] = field(default_factory=lambda: [reply()])
    rule: Rule | None = None
    fixes: list[Reply] = field(default_factory=list)
    steps: Sequence[StepPlan] = (step(),)
    pattern: str = "chain"
    budget_usd: Decimal | None = None
    options: Options | None = None
    stores_here: bool = False
    approval: Approval | None = None
    assess: StepPlan | None = None
    plans: dict[str, Plan] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()
    halves: int = 2
    is_plain: bool = True
    prepare_error: Exception | None = None
    split_error: Exception | None = None
    requests: list[RunRequest] = field(default_factory=list)
    splits: list[SplitRequest] = field(default_factory=list)
    ledgers: list[LedgerRequest] = field(default_factory=list)
    here: list[str] = field(default_factory=list)
    priorities: list[Priority] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=_already_set)
    waiting: int = 0
    asked: list[AskRequest] = field(default_factory=list)
    stored: list[StoreRequest] = field(default_factory=list)
    storing: asyncio.Event = field(default_factory=asyncio.Event)
    may_store: asyncio.Event = field(default_factory=_already_set)
    first_ask: asyncio.Event = field(default_factory=asyncio.Event)

    def plan(self, job: str) -> Plan:
        return Plan(
            job=job,
            job_version="v1",
            pattern=self.pattern,
            steps=tuple(self.steps),
            budget_usd=self.budget_usd,
            options=self.options,
            stores_here=self.stores_here,
            official=self.steps[-1].name if self.approval else "",
            approval=self.approval,
            assess=self.assess,
        )

    @activity.defn
    async def prepare_plain(self, request: RunRequest) -> Prepared:
        self.here.append("prepare_plain")
        if not self.is_plain:
            raise ApplicationError("not plain text", type="UnsupportedFormat", non_retryable=True)
        return await self.prepare(request)

    @activity.defn
    async def split_text(self, request: SplitRequest) -> Split:
        self.splits.append(request)
        is_whole = request.text.sha256 == "text"
        if self.split_error and not is_whole:
            raise self.split_error
        found = self.chunks if is_whole else self._divided(request)
        return Split(count=len(found), listing=blob("listing"), chunks=found[:SEGMENT_CHUNKS])

    def _divided(self, request: SplitRequest) -> tuple[Chunk, ...]:
        length = request.text.characters // self.halves
        return tuple(
            Chunk(
                number=part + 1,
                sha256=f"{request.text.sha256}/{part + 1}",
                size=length,
                start=part * length,
                end=(part + 1) * length,
                tokens=request.chunk_tokens,
            )
            for part in range(self.halves)
        )

    @activity.defn
    async def read_chunks(self, request: ChunksRequest) -> Chunks:
        return Chunks(chunks=self.chunks[request.first - 1 : request.last])

    @activity.defn
    async def keep_ledger(self, request: LedgerRequest) -> BlobRef:
        self.ledgers.append(request)
        return blob(f"ledger from {request.entries[0].name if request.entries else 'nothing'}")

    @activity.defn
    async def prepare(self, request: RunRequest) -> Prepared:
        self.requests.append(request)
        if self.prepare_error:
            raise self.prepare_error
        plan = self.plans.get(request.job) or self.plan(request.job)
        text = TextRef(tenant=TENANT, sha256="text", size=10, characters=10)
        return Prepared(plan=plan, document=blob("document"), text=text)

    @activity.defn
    async def ask_model(self, request: AskRequest) -> Reply:
        self.asked.append(request)
        self.priorities.append(activity.info().priority)
        self.first_ask.set()
        await self._pass_gate()
        if not self.replies and not self.rule:
            raise ApplicationError("the script is over", type="ScriptOver", non_retryable=True)
        outcome = self.rule(request) if self.rule else self.replies.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _pass_gate(self) -> None:
        self.waiting += 1
        try:
            while not self.gate.is_set():
                activity.heartbeat()  # lets the server tell of a cancellation
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.gate.wait(), 0.2)
        finally:
            self.waiting -= 1

    @activity.defn
    async def repair_answer(self, request: RepairRequest) -> Reply:
        return (
            self.fixes.pop(0)
            if self.fixes
            else request.reply.model_copy(update={"calls": 0, "usage": Usage(), "cost_usd": Decimal(0), "asked": None})
        )

    @activity.defn
    async def store_answer(self, request: StoreRequest) -> Stored:
        self.stored.append(request)
        if activity.info().is_local:
            self.here.append("store_answer")
        self.storing.set()
        await self.may_store.wait()
        return Stored()
