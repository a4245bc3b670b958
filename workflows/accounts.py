"""What a run's model calls came to: every reply counts, also those that were no answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engross.contracts import (
    ApprovalMark,
    BlobRef,
    BudgetState,
    ErrorInfo,
    Inherited,
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

# Replies; with more of them, equal ones are added up: what travels stays small.
_AS_THEY_ARE: Final = 8


@dataclass(frozen=True)
class Ending:
    """How a run ended: as in `RunResult`."""

    outcome: Outcome
    answer: BlobRef | None = None
    error: ErrorInfo | None = None
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    approval: ApprovalMark | None = None


class Accounts:
    """The replies of one run, in order, and its budget with the raises that people gave it."""

    def __init__(self, account: str, inherited: Inherited | None = None) -> None:
        # The same through every execution of this run, so that none of them starts with a full purse.
        self._account = account
        self._lent = inherited.budget if inherited else None
        self.replies: list[Reply] = []
        # Replies of child runs, and of a batch that this run moved out of; and those that a child has stored itself.
        self._others: list[Spent] = list(inherited.spent) if inherited else []
        self._elsewhere: list[Spent] = []
        self._repairs = self._cached = 0
        self._limit_usd: Decimal | None = None
        self._raised_usd = Decimal(0)

    def note(self, reply: Reply, *, is_repair: bool) -> None:
        """Takes a reply into the accounts."""
        self.replies.append(reply)
        self._repairs += is_repair

    def absorb(self, spent: Iterable[Spent], repairs: int) -> None:
        """Takes the replies of a child run into the accounts, and how many of them repaired."""
        self._others += spent
        self._repairs += repairs

    def mention(self, result: RunResult) -> None:
        """Counts what a child run came to, whose replies are in accounts of its own."""
        self._repairs += result.repairs
        self._cached += result.cached
        self._elsewhere.append(_summed_up(result))

    @property
    def _all(self) -> list[Spent]:
        return [_spent(reply) for reply in self.replies] + self._others + self._elsewhere

    @property
    def cost_usd(self) -> Decimal | None:
        """The sum; None as soon as one price is unknown."""
        prices = [spent.cost_usd for spent in self._all]
        known = [price for price in prices if price is not None]
        return sum(known, Decimal(0)) if len(known) == len(prices) else None

    @property
    def repairs(self) -> int:
        """Replies that repaired another."""
        return self._repairs

    # --- the budget -------------------------------------------------------------------------------------------------

    def cap(self, limit_usd: Decimal | None) -> None:
        """Sets what the run may cost; None is no cap."""
        self._limit_usd = limit_usd

    def lift(self, by_usd: Decimal) -> None:
        """Raises the cap."""
        self._raised_usd += by_usd

    def budget(self) -> RunBudget | None:
        """The cap in force, raises included."""
        if self._lent is not None:
            return self._lent.model_copy(update={"limit_usd": self._lent.limit_usd + self._raised_usd})
        if self._limit_usd is None:
            return None
        return RunBudget(account=self._account, limit_usd=self._limit_usd + self._raised_usd)

    def lend(self, budget: RunBudget) -> None:
        """The run that this one is a part of may spend so much."""
        self._lent, self._raised_usd = budget, Decimal(0)

    def state(self, waiting_for: str) -> BudgetState:
        """What `engross budget show` tells of this run."""
        return BudgetState(
            budget=self.budget(), raised_usd=self._raised_usd, spent_usd=self.cost_usd, waiting_for=waiting_for
        )

    # --- the end ----------------------------------------------------------------------------------------------------

    def result(self, run_id: str, request: RunRequest, ending: Ending) -> RunResult:
        """The result of the run, summed up."""
        last = self.replies[-1] if self.replies else None
        counted = self._all
        return RunResult(
            run_id=run_id,
            job=request.job,
            tenant=request.tenant,
            outcome=ending.outcome,
            answer=ending.answer,
            error=ending.error,
            missing=ending.missing,
            flags=ending.flags,
            approval=ending.approval,
            usage=sum((spent.usage for spent in counted), Usage()),
            cost_usd=self.cost_usd,
            model=last.model if last else next((spent.model for spent in reversed(counted)), ""),
            prompt_version=last.prompt_version if last else "",
            calls=sum(spent.calls for spent in counted),
            repairs=self._repairs,
            cached=self._cached + sum(spent.replies for spent in counted if spent.source is ReplySource.CACHED),
            maybe_billed=sum(spent.maybe_billed for spent in counted),
            problems=last.problems if last and ending.error and last.status is ReplyStatus.INVALID else (),
        )

    def spent(self) -> tuple[Spent, ...]:
        """Every reply that a model gave, for the result store; many of one kind as one entry."""
        own = [_spent(reply) for reply in self.replies if reply.asked is not None] + self._others
        return tuple(own) if len(own) <= _AS_THEY_ARE else _by_kind(own)


def _by_kind(entries: Iterable[Spent]) -> tuple[Spent, ...]:
    kinds: dict[tuple[object, ...], Spent] = {}
    for spent in entries:
        kind = (spent.step, spent.model, spent.status, spent.source, spent.cost_usd is None)
        kinds[kind] = _added(kinds[kind], spent) if kind in kinds else spent
    return tuple(kinds.values())


def _added(one: Spent, other: Spent) -> Spent:
    cost = None if one.cost_usd is None or other.cost_usd is None else one.cost_usd + other.cost_usd
    sums = {
        "calls": one.calls + other.calls,
        "usage": one.usage + other.usage,
        "cost_usd": cost,
        "maybe_billed": one.maybe_billed + other.maybe_billed,
        "replies": one.replies + other.replies,
    }
    return one.model_copy(update=sums)


def _summed_up(result: RunResult) -> Spent:
    return Spent(
        step=result.job,
        model=result.model,
        status=ReplyStatus.VALID,
        source=ReplySource.CALLED,
        calls=result.calls,
        usage=result.usage,
        cost_usd=result.cost_usd,
        maybe_billed=result.maybe_billed,
    )


def _spent(reply: Reply) -> Spent:
    return Spent(
        step=reply.step,
        model=str(reply.asked or reply.model),
        status=reply.status,
        source=reply.source,
        calls=reply.calls,
        usage=reply.usage,
        cost_usd=reply.cost_usd,
        maybe_billed=reply.maybe_billed,
    )
