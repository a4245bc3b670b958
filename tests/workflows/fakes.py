"""Activities that answer from a script: what a workflow test says, in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from engross.contracts import (
    AskRequest,
    BlobRef,
    ModelRef,
    Plan,
    Prepared,
    Problem,
    RepairRequest,
    Reply,
    ReplyStatus,
    RunRequest,
    StepPlan,
    Stored,
    StoreRequest,
    TextRef,
    Usage,
)

TENANT = "acme"


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


def _already_set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class ScriptedActivities:
    """`replies` and `fixes` are used up in order; an exception among them is raised."""

    replies: list[Reply | Exception] = field(default_factory=lambda: [reply()])
    fixes: list[Reply] = field(default_factory=list)
    steps: Sequence[StepPlan] = (step(),)
    pattern: str = "chain"
    budget_usd: Decimal | None = None
    prepare_error: Exception | None = None
    asked: list[AskRequest] = field(default_factory=list)
    stored: list[StoreRequest] = field(default_factory=list)
    storing: asyncio.Event = field(default_factory=asyncio.Event)
    may_store: asyncio.Event = field(default_factory=_already_set)
    first_ask: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn
    async def prepare(self, request: RunRequest) -> Prepared:
        if self.prepare_error:
            raise self.prepare_error
        plan = Plan(
            job=request.job,
            job_version="v1",
            pattern=self.pattern,
            steps=tuple(self.steps),
            budget_usd=self.budget_usd,
        )
        text = TextRef(tenant=TENANT, sha256="text", size=10, characters=10)
        return Prepared(plan=plan, document=blob("document"), text=text)

    @activity.defn
    async def ask_model(self, request: AskRequest) -> Reply:
        self.asked.append(request)
        self.first_ask.set()
        if not self.replies:
            raise ApplicationError("the script is over", type="ScriptOver", non_retryable=True)
        outcome = self.replies.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

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
        self.storing.set()
        await self.may_store.wait()
        return Stored()
