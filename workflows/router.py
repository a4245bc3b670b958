"""The router pattern: a document is classified, and goes on as a run of the job that its label leads to."""

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from engross.contracts import LedgerEntry, Outcome, PartState, Route, RouterOptions, RunRequest, RunResult
    from workflows import failures
    from workflows.pattern import Pattern
    from workflows.run import Answer, Run


@workflow.defn(name="router", failure_exception_types=failures.OF_OUR_OWN)
class Router(Pattern):
    """Finds out what a document is before a job reads it."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            prepared = await run.prepare()
            [classify] = prepared.plan.steps
            label = await run.ask(classify, prepared.text)
            route = choose(run, label)
            routed = await follow(run, route)
            await run.store(routed.answer, missing=routed.missing, flags=routed.flags)
        return run.result


def choose(run: Run, answer: Answer) -> Route:
    """Where the label leads. Raises `UnknownLabel`, or `UnsureLabel` below the bar where there is no fallback."""
    options = run.prepared.plan.options
    if not isinstance(options, RouterOptions):
        raise failures.named("InvalidRequest", f"job {run.request.job!r} has no options of a router")
    label, confidence = str(answer.told.get("label", "")), answer.number("confidence") or 0.0
    entry = LedgerEntry(name="classify", state=PartState.ANSWERED, label=label, score=confidence, answer=answer.ref)
    run.enter(entry.model_copy(update={"state": PartState.REPAIRED}) if answer.is_repaired else entry)
    run.propose(answer.ref)
    if confidence < options.bar:
        if options.fallback is None:
            told = f"{label or 'another label'} at {confidence:.2f}, under the bar of {options.bar:.2f}"
            raise failures.named("UnsureLabel", f"{told}; a person must say what it is")
        return options.fallback
    for route in options.routes:
        if route.label == label:
            return route
    told = f"no route has the label {label}" if label else "the label is none that a route has"
    raise failures.named("UnknownLabel", f"{told}; a person must say what it is")


async def follow(run: Run, route: Route) -> RunResult:
    """The result of the document's run of the job that `route` names. Raises its failure when it has no answer."""
    if not route.pattern:
        raise failures.named("InvalidRequest", f"the plan doesn't say as what workflow job {route.job!r} runs")
    document = run.request.document.model_copy(update={"uri": f"blob:{run.prepared.document.sha256}"})
    request = RunRequest(
        job=route.job,
        tenant=run.request.tenant,
        document=document,
        cache=run.request.cache,
        inherited=run.heritage(),
        submitter=run.request.submitter,
        review=run.request.review,
    )
    run_id = f"{run.run_id}-{route.job}"
    try:
        result = await run.children.run(route.pattern, request, RunResult, job=route.job, run_id=run_id)
    except ChildWorkflowError as error:
        note_failed(run, route, run_id, error)
        raise
    run.accounts.mention(result)
    run.enter(LedgerEntry(name=route.job, state=PartState.ROUTED, run_id=run_id, answer=result.answer))
    run.propose(result.answer)
    if result.outcome in (Outcome.NEEDS_APPROVAL, Outcome.REJECTED) and result.error:
        raise failures.named(result.error.type, result.error.message)
    return result


def note_failed(run: Run, route: Route, run_id: str, error: ChildWorkflowError) -> None:
    """The routed run failed, or was cancelled: what it cost counts all the same, as far as it is known."""
    result = failures.carried_result(error)
    if result:
        run.accounts.mention(result)
    info = failures.CANCELLED if is_cancelled_exception(error) else failures.caught(error)
    run.enter(LedgerEntry(name=route.job, state=failures.state_of(info), error=info.type, run_id=run_id))
