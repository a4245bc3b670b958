"""The gate before the official copy: an answer passes by itself, or when people say so."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.exceptions import ActivityError, ApplicationError

from engross.contracts import (
    Approval,
    ApprovalMark,
    ApprovalRequest,
    ApprovalResult,
    Assessment,
    AssessRequest,
    BlobRef,
    ErrorInfo,
    Given,
    Reply,
    Risk,
    Round,
    Verdict,
)
from workflows import failures, steps
from workflows.ladder import Question
from workflows.place import Place

if TYPE_CHECKING:
    from workflows.run import Run


@dataclass(frozen=True)
class Passed:
    """What may be stored, and, where people decided, what its result says of that."""

    answer: BlobRef
    mark: ApprovalMark | None = None


class Gate:
    """One for each run. What is asked of models is remembered, so that people can ask for another attempt."""

    def __init__(self, run: "Run", place: Place) -> None:
        self._run = run
        self._place = place
        # By the SHA-256 of the answer; the last one is under "" as well, for when there is no answer.
        self._asked: dict[str, tuple[Question, Reply]] = {}

    def remember(self, question: Question, reply: Reply) -> None:
        """Takes note of what was asked, and what came of it."""
        plan = self._run.prepared.plan if self._run.is_prepared else None
        if plan is None or not plan.official:
            return
        if question.step.name == plan.official:
            self._asked[""] = (question, reply)
        # An only chunk needs no reducing: then the answer of another step with the same schema is the official one.
        if reply.answer and question.step.schema_version == plan.step(plan.official).schema_version:
            self._asked[reply.answer.sha256] = (question, reply)

    @property
    def asks_people(self) -> bool:
        """Whether the job declares an approval, or somebody asked for a review."""
        plan = self._run.prepared.plan if self._run.is_prepared else None
        return plan is not None and bool(plan.official) and self._policy is not None

    async def passed(
        self, answer: BlobRef | None, error: ErrorInfo | None = None, flags: tuple[str, ...] = ()
    ) -> Passed:
        """The answer as it may be stored: the proposed one, or the one that people corrected or had made anew.

        Without a proposed answer, `error` says why people are asked. Raises `Rejected`, `ApprovalExpired` or
        `TooUnsure`.
        """
        rounds: tuple[Round, ...] = ()
        while True:
            assessed = await self._assess(answer, error, rounds)
            risk = assessed.risk or Risk.CRITICAL
            if answer and not risk.approvers:
                return Passed(answer)
            asked = self._request(answer, error, flags, rounds, assessed, risk)
            told = await self._place.decide(asked, self._run.children, self._run.parked)
            if told.verdict is not Verdict.AGAIN:
                return _passed(told, risk, len(rounds) + 1)
            rounds += (_round(len(rounds) + 1, answer, told),)
            answer, error = await self._again(answer, told.note, len(rounds) + 1)

    async def _assess(self, answer: BlobRef | None, error: ErrorInfo | None, rounds: tuple[Round, ...]) -> Assessment:
        """The risk. An answer about which people were asked once, or have to be, never passes by itself."""
        policy = self._policy
        if policy is None:
            return Assessment(risk=Risk.LOW)
        request = AssessRequest(policy=policy, answer=answer, text=self._run.prepared.text)
        assessed = await steps.assess_risk.here(request, summary="assess the risk")
        if assessed.stops and not rounds:
            raise failures.named("TooUnsure", "; ".join(assessed.reasons) or "less sure than the job accepts")
        if assessed.risk is None:
            model_risk, why = await self._ask_for_risk(answer)
            request = request.model_copy(update={"model_risk": model_risk})
            assessed = await steps.assess_risk.here(request, summary="assess the risk with what the model says")
            assessed = assessed.model_copy(update={"reasons": (*assessed.reasons, why)})
        if (rounds or error or self._run.request.review) and assessed.risk is Risk.LOW:
            why = "another attempt" if rounds else error.type if error else "review was asked for"
            assessed = assessed.model_copy(update={"risk": Risk.MEDIUM, "reasons": (*assessed.reasons, why)})
        return assessed

    async def _ask_for_risk(self, answer: BlobRef | None) -> tuple[Risk, str]:
        """What the assess step says; where it says nothing usable, the worst."""
        prepared = self._run.prepared
        if prepared.plan.assess is None or answer is None:
            return Risk.CRITICAL, "no rule says how risky this is"
        given = (Given(label="the answer to assess", answer=answer),)
        judged = await self._run.try_to_ask(prepared.plan.assess, prepared.text, given=given)
        told = "" if isinstance(judged, ErrorInfo) else str(judged.told.get("risk", ""))
        if told not in list(Risk):
            return Risk.CRITICAL, "the model could not assess the risk"
        return Risk(told), f"the model sees {told} risk"

    async def _again(
        self, answer: BlobRef | None, note: BlobRef | None, number: int
    ) -> tuple[BlobRef | None, ErrorInfo | None]:
        """Another attempt with what a person said; the one before, and why, when nothing new came of it."""
        asked = self._asked.get(answer.sha256 if answer else "")
        if asked is None or note is None:
            return answer, ErrorInfo(type="Unexpected", message="there is nothing that could be asked again")
        question, _ = asked
        given = question.given
        if answer:
            given += (Given(label="An earlier answer of yours, which a person did not accept", answer=answer),)
        given += (Given(label="What that person asks you to change", answer=note),)
        try:
            made = await self._run.ask(
                question.step,
                question.text,
                question.previous,
                given=given,
                reads_text=question.reads_text,
                sources=question.sources,
                label=f"{question.label}, attempt {number}".lstrip(", "),
            )
        except (ActivityError, ApplicationError) as failure:
            return answer, failures.caught(failure)
        self._run.propose(made.ref)
        return made.ref, None

    def _request(
        self,
        answer: BlobRef | None,
        error: ErrorInfo | None,
        flags: tuple[str, ...],
        rounds: tuple[Round, ...],
        assessed: Assessment,
        risk: Risk,
    ) -> ApprovalRequest:
        run, prepared = self._run.request, self._run.prepared
        policy = self._policy or Approval()
        _, reply = self._asked.get(answer.sha256 if answer else "", (None, None))
        return ApprovalRequest(
            job=run.job,
            tenant=run.tenant,
            step=prepared.plan.official,
            run_id=self._run.run_id,
            submitter=run.submitter,
            document=prepared.document,
            document_name=run.document.label,
            text=prepared.text,
            answer=answer,
            draft=reply.draft if reply and not answer else None,
            problems=reply.problems if reply and not answer else (),
            error=error,
            flags=flags,
            risk=risk,
            reasons=assessed.reasons,
            confidence=assessed.confidence,
            priority=assessed.priority,
            policy=policy,
            can_ask_again=reply is not None and len(rounds) < policy.rounds,
            rounds=rounds,
        )

    @property
    def _policy(self) -> Approval | None:
        return self._run.prepared.plan.approval or (Approval() if self._run.request.review else None)


def _round(number: int, answer: BlobRef | None, told: ApprovalResult) -> Round:
    by = told.by[-1] if told.by else ""
    return Round(number=number, shown=told.shown, answer=answer, by=by, note=told.note, at=told.at, key=told.key)


def _passed(told: ApprovalResult, risk: Risk, rounds: int) -> Passed:
    """What was approved. Raises the failure that every other verdict stands for."""
    if told.answer is None or told.verdict not in (Verdict.APPROVED, Verdict.CORRECTED):
        why = failures.turned_down(told.verdict, told.by, told.approval_id)
        raise failures.named(why.type, why.message)
    mark = ApprovalMark(
        approval_id=told.approval_id,
        shown=told.shown,
        risk=risk,
        by=told.by,
        is_corrected=told.verdict is Verdict.CORRECTED,
        rounds=rounds,
    )
    return Passed(told.answer, mark)
