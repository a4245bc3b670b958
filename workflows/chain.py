"""The chain pattern: steps in order, each answer checked before the next step sees it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from engross.contracts import RunRequest, RunResult
    from workflows.failures import OF_OUR_OWN
    from workflows.pattern import Pattern


@workflow.defn(name="chain", failure_exception_types=OF_OUR_OWN)
class Chain(Pattern):
    """Reads a document with one model call after another."""

    @workflow.run
    async def run(self, request: RunRequest | None = None) -> RunResult:
        async with self._run as run:
            prepared = await run.prepare()
            answer = None
            for step in prepared.plan.steps:
                answer = await run.ask(step, prepared.text, previous=answer)
            await run.store(answer)
        return run.result
