"""The fan-out pattern: several perspectives on a document at once, and a synthesis of all of them."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from engross.contracts import (
        ErrorInfo,
        FanOutOptions,
        Given,
        LedgerEntry,
        PartState,
        RunRequest,
        RunResult,
        StepPlan,
    )
    from workflows import failures
    from workflows.pattern import Pattern
    from workflows.run import Run
    from workflows.window import in_window


@workflow.defn(name="fan_out", failure_exception_types=failures.OF_OUR_OWN)
class FanOut(Pattern):
    """Asks different things about the same document, side by side."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            prepared = await run.prepare()
            *perspectives, synthesis = prepared.plan.steps
            options = options_of(run)
            found = await ask_all(run, perspectives)
            missing = what_is_missing(run, options)
            answer = await run.ask(synthesis, prepared.text, given=found, reads_text=False)
            await run.store(answer.ref, missing=missing)
        return run.result


async def ask_all(run: Run, perspectives: list[StepPlan]) -> tuple[Given, ...]:
    """The answers of those perspectives that have one. All are entered in the ledger."""

    async def ask(step: StepPlan) -> Given | None:
        answer = await run.try_to_ask(step, run.prepared.text)
        if isinstance(answer, ErrorInfo):
            run.enter(LedgerEntry(name=step.name, state=failures.state_of(answer), error=answer.type))
            return None
        state = PartState.REPAIRED if answer.is_repaired else PartState.ANSWERED
        run.enter(LedgerEntry(name=step.name, state=state, answer=answer.ref))
        return Given(label=step.name, answer=answer.ref)

    given = await in_window(perspectives, len(perspectives), ask)
    return tuple(each for each in given if each is not None)


def options_of(run: Run) -> FanOutOptions:
    """What the job says. Raises `InvalidRequest` when it says nothing of a fan-out."""
    options = run.prepared.plan.options
    if not isinstance(options, FanOutOptions):
        raise failures.named("InvalidRequest", f"job {run.request.job!r} has no options of a fan_out")
    return options


def what_is_missing(run: Run, options: FanOutOptions) -> tuple[str, ...]:
    """What a partial synthesis lacks. Raises the failure that it is when the job allows none."""
    missing = [entry for entry in run.ledger if not entry.has_answer]
    if missing and (not options.partial or len(missing) == len(run.ledger)):
        raise failures.of_missing(missing, len(run.ledger))
    return tuple(map(failures.told_missing, missing))
