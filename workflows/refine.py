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
    """One round: the attempt, its score (None when the evaluator failed, `error` says why), and the evaluation."""

    answer: BlobRef
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
        self._is_stuck = False

    def go_on(self) -> bool:
        """Whether another round can help: not when one was good enough, and not without an evaluation to go by."""
        if self._attempts and (self._is_stuck or self._attempts[-1].score is None or self._top_score() >= self._bar):
            return False
        return len(self._attempts) < self._options.rounds

    async def generate(self) -> Answer | None:
        """An attempt; from the second on with the one before, and what was said of it. None when no better one came.

        Only the first has to succeed, and raises what `ask` raises.
        """
        if not self._attempts:
            return await self._run.ask(self._generate, self._text, label=self._label)
        last = self._attempts[-1]
        given = [Given(label="attempt", answer=last.answer)]
        if last.evaluation:
            given.append(Given(label="evaluation", answer=last.evaluation))
        attempt = await self._run.try_to_ask(self._generate, self._text, given=tuple(given), label=self._label)
        # The same again would be judged the same again.
        is_new = isinstance(attempt, Answer) and attempt.ref.sha256 != last.answer.sha256
        return attempt if isinstance(attempt, Answer) and is_new else None

    async def evaluate(self, attempt: Answer | None) -> None:
        """Scores an attempt; without one the rounds are over."""
        if attempt is None:
            self._is_stuck = True
            return
        given = (Given(label="attempt", answer=attempt.ref),)
        judged = await self._run.try_to_ask(self._evaluate, self._text, given=given, label=self._label)
        if isinstance(judged, ErrorInfo):
            self._attempts.append(Attempt(attempt.ref, error=judged.type))
        else:
            self._attempts.append(Attempt(attempt.ref, float(judged.told.get("score", 0)), judged.ref))
        self._run.propose(attempt.ref)

    def best(self) -> BlobRef:
        """The attempt with the highest score, the earliest of equals. Raises `BelowBar` when the job says so."""
        best = max(self._attempts, key=lambda attempt: -1 if attempt.score is None else attempt.score)
        self._run.enter(*(self._entry(number, attempt, best) for number, attempt in enumerate(self._attempts, 1)))
        self._run.propose(best.answer)
        if self.flags() and self._options.below == "approval":
            raise failures.named("BelowBar", f"{'; '.join(self.flags())}; a person must look")
        return best.answer

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

    def _top_score(self) -> float:
        return max((attempt.score for attempt in self._attempts if attempt.score is not None), default=-1.0)

    def _entry(self, number: int, attempt: Attempt, best: Attempt) -> LedgerEntry:
        return LedgerEntry(
            name=f"round {number}",
            state=PartState.FAILED if attempt.error else PartState.ANSWERED,
            error=attempt.error,
            score=attempt.score,
            answer=attempt.answer,
            is_best=attempt is best,
        )
