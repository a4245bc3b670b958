"""What a run's model calls came to: every reply counts, also those that were no answer."""

from decimal import Decimal

from temporalio import workflow

from engross.contracts import (
    BlobRef,
    BudgetState,
    ErrorInfo,
    Outcome,
    Reply,
    ReplySource,
    ReplyStatus,
    RunBudget,
    RunRequest,
    RunResult,
    Spent,
    Usage,
)


class Accounts:
    """The replies of one run, in order, and its budget with the raises that people gave it."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._repairs = 0
        self._limit_usd: Decimal | None = None
        self._raised_usd = Decimal(0)

    def note(self, reply: Reply, *, is_repair: bool) -> None:
        """Takes a reply into the accounts."""
        self.replies.append(reply)
        self._repairs += is_repair

    @property
    def cost_usd(self) -> Decimal | None:
        """The sum; None as soon as one price is unknown."""
        prices = [reply.cost_usd for reply in self.replies]
        known = [price for price in prices if price is not None]
        return sum(known, Decimal(0)) if len(known) == len(prices) else None

    # --- the budget -------------------------------------------------------------------------------------------------

    def cap(self, limit_usd: Decimal | None) -> None:
        """Sets what the run may cost; None is no cap."""
        self._limit_usd = limit_usd

    def lift(self, by_usd: Decimal) -> None:
        """Raises the cap."""
        self._raised_usd += by_usd

    def budget(self) -> RunBudget | None:
        """The cap in force, raises included."""
        if self._limit_usd is None:
            return None
        # The same through every execution of this run, so that none of them starts with a full purse.
        account = workflow.info().first_execution_run_id
        return RunBudget(account=account, limit_usd=self._limit_usd + self._raised_usd)

    def state(self, waiting_for: str) -> BudgetState:
        """What `engross budget show` tells of this run."""
        return BudgetState(
            budget=self.budget(), raised_usd=self._raised_usd, spent_usd=self.cost_usd, waiting_for=waiting_for
        )

    # --- the end ----------------------------------------------------------------------------------------------------

    def result(
        self, request: RunRequest, outcome: Outcome, answer: BlobRef | None, error: ErrorInfo | None
    ) -> RunResult:
        """The result of the run, summed up."""
        last = self.replies[-1] if self.replies else None
        return RunResult(
            run_id=workflow.info().workflow_id,
            job=request.job,
            tenant=request.tenant,
            outcome=outcome,
            answer=answer,
            error=error,
            usage=sum((reply.usage for reply in self.replies), Usage()),
            cost_usd=self.cost_usd,
            model=last.model if last else "",
            prompt_version=last.prompt_version if last else "",
            calls=sum(reply.calls for reply in self.replies),
            repairs=self._repairs,
            cached=sum(reply.source is ReplySource.CACHED for reply in self.replies),
            maybe_billed=sum(reply.maybe_billed for reply in self.replies),
            problems=last.problems if last and last.status is ReplyStatus.INVALID else (),
        )

    def spent(self) -> tuple[Spent, ...]:
        """Every reply that a model gave, for the result store."""
        return tuple(_spent(reply) for reply in self.replies if reply.asked is not None)


def _spent(reply: Reply) -> Spent:
    return Spent(
        step=reply.step,
        model=str(reply.asked),
        status=reply.status,
        source=reply.source,
        calls=reply.calls,
        usage=reply.usage,
        cost_usd=reply.cost_usd,
        maybe_billed=reply.maybe_billed,
    )
