"""From a question to a checked answer: models in order of the route, and for each the repair ladder, rung by rung."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from engross.contracts import (
    AskRequest,
    BlobRef,
    Given,
    ModelRef,
    RepairRequest,
    Reply,
    ReplyStatus,
    RunBudget,
    StepPlan,
    TextRef,
)
from engross.names import models_queue
from workflows import failures, steps, story
from workflows.parking import Parking

_INVALID = ReplyStatus.INVALID
# With circuits that stay open for 30 s, then twice as long each time up to 10 minutes: about half an hour. From then
# on the run shows that it waits.
_OUTAGE_WAITS = 6
_JITTER = 0.25


@dataclass(frozen=True)
class Question:
    """What one step of a job asks about one text, or of the answers that it is `given`; the rest as in `AskRequest`.

    `label` tells it from others that the step asks in the same run.
    """

    job: str
    step: StepPlan
    text: TextRef
    previous: BlobRef | None = None
    given: tuple[Given, ...] = ()
    reads_text: bool = True
    sources: tuple[int, ...] = ()
    label: str = ""
    cache: bool = True
    scope: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.step.name} {self.label}".rstrip()


@dataclass(frozen=True)
class Host:
    """What the run gives its ladders: `note` hears of every reply, and whether it repairs."""

    note: Callable[[Reply, bool], None]
    budget: Callable[[], RunBudget | None]
    parking: Parking


class _LookAgain(Exception):
    """The last model of the route was waited for; by now those before it may be back as well."""


class Ladder:
    """Climbs until an answer holds or nothing declared is left."""

    def __init__(self, question: Question, host: Host) -> None:
        self._question = question
        self._host = host
        # Models that may still be asked; one that replied and then failed, or never got it right, is done with.
        self._left = list(question.step.route)
        self._replied: set[ModelRef] = set()
        self._tried: Counter[ModelRef] = Counter()  # calls that failed since a model last replied
        self._outages = 0
        self.repairs = 0

    async def climb(self) -> Reply:
        """The valid reply, or the last one there was. Provider trouble that no other model can help with is raised."""
        try:
            while True:
                with suppress(_LookAgain):
                    return await self._climb_route()
        finally:
            self._host.parking.leave(self._question.name)

    async def _climb_route(self) -> Reply:
        for model in self._left[:-1]:
            try:
                reply = await self._climb_with(model, steps.ask_model_or_move_on)
            except ActivityError as error:
                if not failures.another_model_may_help(error):
                    raise
            else:
                if reply.status is not _INVALID:
                    return reply
            if model in self._replied:
                self._left.remove(model)
        return await self._climb_with(self._left[-1], steps.ask_model)

    async def _climb_with(self, model: ModelRef, call: steps.AskStep) -> Reply:
        step = self._question.step
        reply = await self._ask(model, call)
        if reply.status is ReplyStatus.TRUNCATED:
            step = step.model_copy(update={"max_output_tokens": 2 * step.max_output_tokens})
            reply = await self._ask(model, call, step=step, why="again with twice the room")
        reasks = 0
        while reply.status is _INVALID:
            reply = await self._fix(reply)
            if reply.status is not _INVALID or reasks == step.repairs:
                break
            reasks += 1
            why = f"re-ask {reasks} about {story.count(reply.problems)}"
            reply = await self._ask(model, call, step=step, why=why, draft=reply.draft)
        return reply

    async def _ask(
        self,
        model: ModelRef,
        call: steps.AskStep,
        *,
        step: StepPlan | None = None,
        why: str = "",
        draft: BlobRef | None = None,
    ) -> Reply:
        question = self._question
        request = AskRequest(
            job=question.job,
            step=step or question.step,
            model=model,
            text=question.text,
            previous=question.previous,
            draft=draft,
            cache=question.cache,
            given=question.given,
            reads_text=question.reads_text,
            sources=question.sources,
            scope=question.scope,
        )
        summary = f"{question.name}{': ' if why else ''}{why} ({model})"
        reply = await self._ask_in_turn(request, call, summary)
        self._replied.add(model)
        del self._tried[model]
        self._host.parking.leave(question.name)
        self.repairs += bool(why)
        self._host.note(reply, bool(why))
        return reply

    async def _ask_in_turn(self, request: AskRequest, call: steps.AskStep, summary: str) -> Reply:
        """Waits while limits, circuits or budgets say so: on a timer, or parked until somebody has acted."""
        while True:
            try:
                tried = self._tried[request.model]
                request = request.model_copy(update={"budget": self._host.budget(), "tried": tried})
                step = call.after(tried)
                return await step(request, summary=summary, queue=models_queue(request.model.provider))
            except ActivityError as error:
                self._note_lost(request, failures.vanished(error))
                wait = failures.wait_of(error)
                elsewhere = failures.another_model_may_help(error)
                if wait is None or (elsewhere and call is not steps.ask_model):
                    raise
            self._tried[request.model] += wait.tried
            await self._wait(wait)
            if elsewhere and len(self._left) > 1 and request.model not in self._replied:
                raise _LookAgain

    def _note_lost(self, request: AskRequest, calls: int) -> None:
        """Calls without a reply are in the accounts too, at a price that nobody knows."""
        if calls:
            lost = Reply(
                status=ReplyStatus.LOST,
                step=request.step.name,
                model=request.model.model,
                prompt_version=request.step.prompt_version,
                calls=0,
                maybe_billed=calls,
                asked=request.model,
            )
            self._host.note(lost, False)

    async def _wait(self, wait: failures.Wait) -> None:
        self._outages += wait.reason.type == "CircuitOpen"
        # A little more than asked, each run its own, so that those who wait don't come back together.
        time = wait.time * (1 + _JITTER * workflow.random().random()) if wait.time else None
        if wait.parks or self._outages > _OUTAGE_WAITS:
            await self._host.parking.wait(self._question.name, wait.reason, time)
        elif time:
            await workflow.sleep(time, summary=f"{wait.reason.type}: again in {time.total_seconds():.0f} s")

    async def _fix(self, reply: Reply) -> Reply:
        question = self._question
        request = RepairRequest(job=question.job, step=question.step, reply=reply, sources=question.sources)
        summary = f"{question.name}: fix {story.count(reply.problems)} by code"
        fixed = await steps.repair_answer(request, summary=summary)
        self.repairs += 1
        self._host.note(fixed, True)
        return fixed
