"""What a run may spend, and how people change that."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from engross.contracts.references import Contract

# Sums in Redis are exact up to about nine million dollars.
MOST_DOLLARS: Final = 1_000_000
Dollars = Annotated[Decimal, Field(gt=0, le=MOST_DOLLARS)]


class RunBudget(Contract):
    """The cap on one run's model calls in US dollars; `account` names it through all executions of the run."""

    account: str
    limit_usd: Decimal


class ChildParked(Contract):
    """Input of the signal `child_parked`: why the child run `run_id` waits for somebody; empty when it goes on."""

    run_id: str
    type: str = ""
    message: str = ""


class BudgetRaise(Contract):
    """Input of the update `raise_budget`: so many US dollars more for this run; `by` says who decided it."""

    by_usd: Dollars
    by: str = Field("", max_length=200)


class BudgetState(Contract):
    """Answer to `raise_budget` and to the query `budget`: the run's own cap, None without one, and its raises."""

    budget: RunBudget | None = None
    raised_usd: Decimal = Decimal(0)
    spent_usd: Decimal | None = Decimal(0)
    waiting_for: str = ""
