"""What every pattern's workflow has: one run, and what people, and runs that belong to it, may tell it."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from engross.contracts import BudgetRaise, BudgetState, ChildParked, RunBudget, RunRequest
    from engross.names import BUDGET_QUERY, CHILD_PARKED_SIGNAL, NEW_BUDGET_SIGNAL, RAISE_BUDGET_UPDATE, RESUME_SIGNAL
    from workflows.run import Run


class Pattern:
    """Base of the patterns: `self._run` is the run that this execution is about."""

    @workflow.init
    def __init__(self, request: RunRequest | None = None) -> None:
        self._run = Run(request, pattern=workflow.info().workflow_type)

    @workflow.signal(name=RESUME_SIGNAL, description="Try again now what waits for a key, credit or a budget.")
    def _resume(self) -> None:
        self._run.wake()

    @workflow.signal(name=CHILD_PARKED_SIGNAL, description="A child run tells that it waits, or goes on.")
    def _child_parked(self, news: ChildParked) -> None:
        self._run.child_parked(news)

    @workflow.signal(name=NEW_BUDGET_SIGNAL, description="The run that this one is a part of may spend more.")
    def _new_budget(self, budget: RunBudget) -> None:
        self._run.new_budget(budget)

    @workflow.update(
        name=RAISE_BUDGET_UPDATE,
        description='Let this run spend more, in US dollars: {"by_usd": "0.50", "by": "who decided it"}.',
    )
    def _raise_budget(self, more: BudgetRaise) -> BudgetState:
        return self._run.raise_budget(more)

    @_raise_budget.validator
    def _check_raise(self, more: BudgetRaise) -> None:
        if self._run.budget_state().budget is None:
            raise ApplicationError(
                "this run has no budget of its own (yet); `engross budget raise` raises those of tenants and days too",
                type="InvalidRequest",
            )

    @workflow.query(name=BUDGET_QUERY, description="What this run may spend, and has spent.")
    def _budget(self) -> BudgetState:
        return self._run.budget_state()
