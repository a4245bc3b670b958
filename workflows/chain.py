"""The chain pattern: steps in order, each answer checked before the next step sees it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from engross.contracts import RunRequest, RunResult
    from workflows.failures import OF_OUR_OWN
    from workflows.pattern import Pattern
    from workflows.run import Run


@workflow.defn(name="chain", failure_exception_types=OF_OUR_OWN)
class Chain(Pattern):
    """Reads a document with one model call after another."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            await chain(run)
        return run.result


async def chain(run: Run) -> None:
    """The steps over one document, to its official copy."""
    prepared = await run.prepare()
    answer = None
    for step in prepared.plan.steps:
        answer = (await run.ask(step, prepared.text, answer)).ref
    await run.store(answer)
