"""What model calls may cost, kept by all workers together: per run, per tenant and month, per day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, Final, Literal

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from activities.guards import budget_scripts as scripts
from activities.guards.redis_errors import translated

Scope = Literal["run", "tenant", "day"]

# One hash tag for all keys: a reservation spans several accounts, which a cluster has to keep together.
_KEY: Final = "engross:{budget}:"
# A limit and a single amount end here: scripts count nano-dollars in doubles, which are exact up to 2^53 of them (9
# million USD), and sums of amounts have to stay below that.
_MOST_USD: Final = Decimal(1_000_000)
# Rounding to a context's digits must not go down either.
_UP: Final = Context(prec=28, rounding=ROUND_CEILING)
# Keys that one step of a scan looks at: kept replies lie beside the accounts, so there can be very many.
_SCANNED: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Budget:
    """An account and its limit; None is counted but not limited. `name` is the run, the tenant, or "" for `day`."""

    scope: Scope
    name: str
    limit_usd: Decimal | None

    def __post_init__(self) -> None:
        if (self.scope == "day") == bool(self.name):
            raise ValueError("a budget names its run or tenant; that of the day has no name")
        if self.limit_usd is not None:
            _nanos(self.limit_usd)


@dataclass(frozen=True)
class Reserved:
    """The amount is held in every budget."""


@dataclass(frozen=True)
class Refused:
    """Nothing was taken. `budget` is the spent one with the longest wait, `limit_usd` its limit with raises.

    `taken_usd` is spent, unclear and reserved; `seconds` until the period ends, None for `run`: only a raise helps.
    """

    budget: Budget
    limit_usd: Decimal
    taken_usd: Decimal
    seconds: float | None


@dataclass(frozen=True)
class Balance:
    """An account as it stands. `unclear_usd` may have been billed, and counts like spent.

    `period` is a month ("2026-11"), a day ("2026-11-21"), or "" for a run, whose `ends_at` (UTC) is None.
    """

    scope: Scope
    name: str
    limit_usd: Decimal | None
    raised_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    unclear_usd: Decimal
    period: str
    ends_at: datetime | None


class Budgets:
    """Money is reserved at its worst case before a call and settled to the real cost after it.

    A `holder` names one caller across its retries ("<run>/<activity id>"), and holds one reservation at a time. One
    whose end is never told becomes unclear after `held_seconds`. When a period ends, its spent, unclear and raised
    are forgotten; what is reserved stays, and settles into the new period. Months and days are UTC, all times the
    server's, and all amounts are rounded up to a nano-dollar. An account is forgotten when nobody touched it for 30
    days (run) or 40 (tenant, day).

    Methods raise `ValueError` for amounts that are not 0 to 1,000,000 USD, and for the same account twice. They raise
    `ServiceUnavailable` when Redis does not answer; all of them can then be repeated.
    """

    def __init__(self, client: Redis, *, held_seconds: float) -> None:
        """`held_seconds` must be longer than any call takes: a reservation past it no longer settles."""
        if held_seconds <= 0:
            raise ValueError("held_seconds is more than 0, and longer than any call takes")
        self._client = client
        self._held = round(held_seconds * 1_000_000)  # microseconds, the unit of all times in the scripts
        self._reserve = client.register_script(scripts.RESERVE)
        self._finish = client.register_script(scripts.FINISH)
        self._raise = client.register_script(scripts.RAISE)
        self._balance = client.register_script(scripts.BALANCE)

    async def reserve(
        self, budgets: Sequence[Budget], *, holder: str, attempt: str, amount_usd: Decimal
    ) -> Reserved | Refused:
        """Takes the amount from every budget, or from none; nothing at all (a free model) always passes.

        The same holder and attempt again change nothing. Another attempt while a reservation of the holder's stands
        means that the earlier one died in mid-call: that amount becomes unclear, also when this one is refused.
        """
        _check(holder)
        found = await _run(self._reserve, budgets, holder, _nanos(amount_usd), attempt, self._held)
        if not found:
            return Reserved()
        which, limit, taken, wait = found
        budget = budgets[which - 1]
        return Refused(budget, _usd(limit), _usd(taken), None if wait < 0 else wait / 1e6)

    async def settle(self, budgets: Sequence[Budget], *, holder: str, cost_usd: Decimal | None) -> tuple[Budget, ...]:
        """Ends the holder's reservation at the real cost, or at the whole amount when the cost is not known (None).

        Changes nothing where the holder holds nothing. Returns the budgets whose spent and unclear money came to 90 %
        of the limit with this call: each once a period, and once more after a raise brought it below. Repeating the
        call that crossed gives the same answer, so that a lost reply loses no warning.
        """
        return await self._end(budgets, holder, "spent", "" if cost_usd is None else _nanos(cost_usd))

    async def release(self, budgets: Sequence[Budget], *, holder: str, maybe_billed: bool) -> tuple[Budget, ...]:
        """Ends the holder's reservation without a cost: given back, or unclear if it may have been billed.

        Changes nothing where the holder holds nothing. Returns what `settle` does.
        """
        return await self._end(budgets, holder, "unclear" if maybe_billed else "", "")

    async def raise_limit(self, budget: Budget, *, by_usd: Decimal, request: str) -> None:
        """Allows so much more: for this period, or for a run as long as its account lives.

        `request` names this raise; naming it again in the same period changes nothing.
        """
        await _run(self._raise, (budget,), request, _nanos(by_usd))

    async def balance(self, budget: Budget) -> Balance:
        """The account as the next call would find it; changes nothing."""
        *amounts, period, ends = await _run(self._balance, (budget,))
        raised, spent, reserved, unclear = map(_usd, amounts)
        return Balance(
            *(budget.scope, budget.name, budget.limit_usd),
            raised_usd=raised,
            spent_usd=spent,
            reserved_usd=reserved,
            unclear_usd=unclear,
            period=period.decode(),
            ends_at=None if ends < 0 else _EPOCH + timedelta(days=ends),
        )

    async def tenants(self) -> tuple[str, ...]:
        """The tenants that have an account, of this month or an earlier one, by name."""
        prefix = f"{_KEY}account:tenant:".encode()
        with translated():
            keys = {key async for key in self._client.scan_iter(prefix + b"*", count=_SCANNED)}
        return tuple(sorted(key.removeprefix(prefix).decode() for key in keys))

    async def _end(self, budgets: Sequence[Budget], holder: str, into: str, amount: str | int) -> tuple[Budget, ...]:
        _check(holder)
        told = await _run(self._finish, budgets, holder, into, amount)
        return tuple(budgets[which - 1] for which in told)


def _check(holder: str) -> None:
    if not holder:
        raise ValueError("a holder has a name: it is told apart from others by it")


def _nanos(usd: Decimal) -> int:
    """Whole nano-dollars, rounded up."""
    if not usd.is_finite() or not 0 <= usd <= _MOST_USD:
        raise ValueError("an amount of money is 0 to 1,000,000 USD")
    return int(usd.scaleb(9, _UP).to_integral_value(ROUND_CEILING))


def _usd(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)


async def _run(script: AsyncScript, budgets: Sequence[Budget], *args: str | int) -> Any:
    accounts = [f"{budget.scope}:{budget.name}" for budget in budgets]
    if len(set(accounts)) < len(accounts):
        raise ValueError("the same account twice: name each budget once")
    keys = [f"{_KEY}{kind}:{account}" for account in accounts for kind in ("account", "held", "deadlines")]
    limits: list[str | int] = []
    for budget in budgets:
        limits += (budget.scope, "" if budget.limit_usd is None else _nanos(budget.limit_usd))
    with translated():
        return await script(keys=keys, args=[*limits, *args])
