"""From a question to a checked answer: models in order of the route, and for each the repair ladder, rung by rung."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from engross.contracts import AskRequest, BlobRef, ModelRef, RepairRequest, Reply, ReplyStatus, StepPlan, TextRef
from engross.names import models_queue
from workflows import failures, steps, story

_INVALID = ReplyStatus.INVALID
# With circuits that stay open for 30 s, then twice as long each time up to 10 minutes: about half an hour.
_OUTAGE_WAITS = 6
_JITTER = 0.25


@dataclass(frozen=True)
class Question:
    """What one step of a job asks about one text."""

    job: str
    step: StepPlan
    text: TextRef
    previous: BlobRef | None = None
    cache: bool = True


class Ladder:
    """Climbs until an answer holds or nothing declared is left. `note` hears of every reply, and whether it repairs."""

    def __init__(self, question: Question, note: Callable[[Reply, bool], None]) -> None:
        self._question = question
        self._note = note

    async def climb(self) -> Reply:
        """The valid reply, or the last one there was. Provider trouble that no other model can help with is raised."""
        route = self._question.step.route
        for model in route[:-1]:
            try:
                reply = await self._climb_with(model, steps.ask_model_or_move_on)
            except ActivityError as error:
                if not failures.another_model_may_help(error):
                    raise
            else:
                if reply.status is not _INVALID:
                    return reply
        return await self._climb_with(route[-1], steps.ask_model)

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
        )
        summary = f"{question.step.name}{': ' if why else ''}{why} ({model})"
        reply = await self._ask_in_turn(request, call, summary)
        self._note(reply, bool(why))
        return reply

    async def _ask_in_turn(self, request: AskRequest, call: steps.AskStep, summary: str) -> Reply:
        """Waits on timers while limits or an open circuit say so. The last model of a route waits out an outage."""
        openings = 0
        while True:
            try:
                return await call(request, summary=summary, queue=models_queue(request.model.provider))
            except ActivityError as error:
                waiting = failures.postponed(error)
                if waiting is None:
                    raise
                why, time = waiting
                openings += why == "CircuitOpen"
                if openings > _OUTAGE_WAITS or (openings and call is not steps.ask_model):
                    raise
                # A little more than asked, each run its own, so that those who wait don't come back together.
                time *= 1 + _JITTER * workflow.random().random()
                await workflow.sleep(time, summary=f"{why}: {request.model} again in {time.total_seconds():.0f} s")

    async def _fix(self, reply: Reply) -> Reply:
        question = self._question
        request = RepairRequest(job=question.job, step=question.step, reply=reply)
        summary = f"{question.step.name}: fix {story.count(reply.problems)} by code"
        fixed = await steps.repair_answer(request, summary=summary)
        self._note(fixed, True)
        return fixed
