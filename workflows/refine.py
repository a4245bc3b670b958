"""The refine pattern: generate, evaluate, generate again with what the evaluator said, until it is good enough."""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        BlobRef,
        ErrorInfo,
        Given,
        LedgerEntry,
        PartState,
        RefineOptions,
        RunRequest,
        RunResult,
    )
    from workflows import failures
    from workflows.pattern import Pattern
    from workflows.run import Answer, Run


@workflow.defn(name="refine", failure_exception_types=failures.OF_OUR_OWN)
class Refine(Pattern):
    """Works on an answer in rounds; the best attempt is the answer, not the last."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await run.prepare()
            rounds = Rounds(run)
            while rounds.go_on():
                attempt = await rounds.generate()
                await rounds.evaluate(attempt)
            await run.store(rounds.best(), flags=rounds.flags())
        return run.result


@dataclass(frozen=True)
class Attempt:
    """One round: the attempt and its score, None when the evaluator failed: `error` says why."""

    answer: Answer
    score: float | None = None
    evaluation: BlobRef | None = None
    error: str = ""


class Rounds:
    """The attempts at one document."""

    def __init__(self, run: Run) -> None:
        plan = run.prepared.plan
        if not isinstance(plan.options, RefineOptions):
            raise failures.named("InvalidRequest", f"job {plan.job!r} has no options of a refine")
        self._run = run
        self._text = run.prepared.text
        self._options = plan.options
        self._generate, self._evaluate = plan.steps
        self._attempts: list[Attempt] = []
        self._in_vain: LedgerEntry | None = None  # the round that brought nothing new, and was the last

    def go_on(self) -> bool:
        """Whether another round can help: not when one was good enough, and not without an evaluation to go by."""
        if self._attempts and (self._in_vain or self._attempts[-1].score is None or self._top_score() >= self._bar):
            return False
        return len(self._attempts) < self._options.rounds

    async def generate(self) -> Answer | None:
        """An attempt; from the second on with the one before, and what was said of it. None when no new one came.

        Only the first has to succeed, and raises what `ask` raises.
        """
        if not self._attempts:
            return await self._run.ask(self._generate, self._text, label=self._label)
        last = self._attempts[-1]
        given = [Given(label="attempt", answer=last.answer.ref)]
        if last.evaluation:
            given.append(Given(label="evaluation", answer=last.evaluation))
        attempt = await self._run.try_to_ask(self._generate, self._text, given=tuple(given), label=self._label)
        if isinstance(attempt, ErrorInfo):
            self._stop(LedgerEntry(name=self._label, state=failures.state_of(attempt), error=attempt.type))
            return None
        # The same again would be judged the same again.
        for same in (each for each in self._attempts if each.answer.ref.sha256 == attempt.ref.sha256):
            self._stop(_entry(self._label, same))
            return None
        return attempt

    async def evaluate(self, attempt: Answer | None) -> None:
        """Scores an attempt; without one the rounds are over."""
        if attempt is None:
            return
        given = (Given(label="attempt", answer=attempt.ref),)
        judged = await self._run.try_to_ask(self._evaluate, self._text, given=given, label=self._label)
        score = None if isinstance(judged, ErrorInfo) else judged.number("score")
        if isinstance(judged, ErrorInfo):
            self._attempts.append(Attempt(attempt, error=judged.type))
        elif score is None:
            self._attempts.append(Attempt(attempt, error="InvalidAnswer"))
        else:
            self._attempts.append(Attempt(attempt, max(score, 0.0), judged.ref))
        self._enter()

    def best(self) -> BlobRef:
        """The attempt with the highest score, the earliest of equals. Raises `BelowBar` when the job says so."""
        if self.flags() and self._options.below == "approval":
            raise failures.named("BelowBar", f"{'; '.join(self.flags())}; a person must look")
        return self._best().answer.ref

    def flags(self) -> tuple[str, ...]:
        """What a reader of the answer should know."""
        error = next((attempt.error for attempt in self._attempts if attempt.error), "")
        top = self._top_score()
        if top >= self._bar:
            return ()
        told = [f"not evaluated: {error}"] if error else []
        if top >= 0:
            told.append(f"below the bar: {top:.2f} of {self._bar:.2f}")
        return tuple(told)

    @property
    def _bar(self) -> float:
        return self._options.bar

    @property
    def _label(self) -> str:
        return f"round {len(self._attempts) + 1}"

    def _best(self) -> Attempt:
        return max(self._attempts, key=lambda attempt: -1 if attempt.score is None else attempt.score)

    def _top_score(self) -> float:
        return max((attempt.score for attempt in self._attempts if attempt.score is not None), default=-1.0)

    def _stop(self, entry: LedgerEntry) -> None:
        self._in_vain = entry
        self._enter()

    def _enter(self) -> None:
        """All rounds so far: which one is the best changes as they go."""
        best = self._best()
        entries = [
            _entry(f"round {number}", attempt).model_copy(update={"is_best": attempt is best})
            for number, attempt in enumerate(self._attempts, 1)
        ]
        self._run.ledger.clear()
        self._run.enter(*entries, *([self._in_vain] if self._in_vain else []))
        self._run.propose(best.answer.ref)


def _entry(name: str, attempt: Attempt) -> LedgerEntry:
    return LedgerEntry(
        name=name,
        state=PartState.REPAIRED if attempt.answer.is_repaired else PartState.ANSWERED,
        error=attempt.error,
        score=attempt.score,
        answer=attempt.answer.ref,
    )
