"""The budgets against a plain model of them: random calls, deaths and new periods, compared after each."""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pytest
import redis.asyncio

from activities.guards.budgets import Budget, Budgets, Refused
from tests.activities.guards.budget_accounts import HELD, age, time_out

SEED: Final = 20240229
STEPS: Final = 400
ACCOUNTS: Final = (
    Budget("run", "r1", Decimal(2)),
    Budget("tenant", "acme", Decimal(3)),
    Budget("tenant", "globex", None),
    Budget("day", "", Decimal(4)),
)


@dataclass
class Account:
    """What one account should be."""

    budget: Budget
    spent: Decimal = Decimal(0)
    unclear: Decimal = Decimal(0)
    dead: Decimal = Decimal(0)  # past its deadline, and not swept yet: if the period ends first, it is in the next one
    raised: Decimal = Decimal(0)
    warned: str = ""
    raises: set[str] = field(default_factory=set)
    held: dict[str, tuple[str, Decimal]] = field(default_factory=dict)  # attempt and amount, by holder

    def reserved(self) -> Decimal:
        return sum((amount for _, amount in self.held.values()), Decimal(0))

    def sweep(self) -> None:
        self.unclear, self.dead = self.unclear + self.dead, Decimal(0)

    def has_room(self, amount: Decimal) -> bool:
        if self.budget.limit_usd is None or amount == 0:
            return True
        return self.spent + self.unclear + self.reserved() + amount <= self.budget.limit_usd + self.raised

    def nearly_spent(self) -> bool:
        if self.budget.limit_usd is None or self.spent + self.unclear == 0:
            return False
        return self.spent + self.unclear >= (self.budget.limit_usd + self.raised) * Decimal("0.9")

    def end(self, holder: str, into: str, cost: Decimal | None) -> bool:
        """Whether this warns."""
        self.sweep()
        if holder not in self.held:
            return self.warned == holder
        _, amount = self.held.pop(holder)
        amount = amount if cost is None else cost
        self.spent += amount if into == "spent" else 0
        self.unclear += amount if into == "unclear" else 0
        if self.warned or not self.nearly_spent():
            return False
        self.warned = holder
        return True

    def lift(self, by: Decimal, request: str) -> None:
        self.sweep()
        if request in self.raises:
            return
        self.raises.add(request)
        self.raised += by
        if self.budget.limit_usd is not None and not self.nearly_spent():
            self.warned = ""

    def start_anew(self) -> None:
        self.spent, self.unclear, self.raised, self.warned = Decimal(0), Decimal(0), Decimal(0), ""
        self.raises.clear()


class Pair:
    """The budgets and their model, told the same."""

    def __init__(self, client: redis.asyncio.Redis, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - not a secret
        self.client = client
        self.budgets = Budgets(client, held_seconds=HELD)
        self.model = {budget: Account(budget) for budget in ACCOUNTS}
        self.refused = self.warned = 0

    def amount(self) -> Decimal:
        return Decimal(self.random.choice([0, 1, 300_000_000, self.random.randrange(10**9)])) / 10**9

    def some(self) -> tuple[Budget, ...]:
        return tuple(self.random.sample(ACCOUNTS, self.random.randint(1, len(ACCOUNTS))))

    async def reserve(self, holder: str) -> None:
        chosen, amount, attempt = self.some(), self.amount(), self.random.choice(["1", "2"])
        got = await self.budgets.reserve(chosen, holder=holder, attempt=attempt, amount_usd=amount)
        models = [self.model[budget] for budget in chosen]
        for one in models:
            one.sweep()
            if holder in one.held and one.held[holder][0] != attempt:
                one.unclear += one.held.pop(holder)[1]
        new = [one for one in models if holder not in one.held]
        full = {one.budget for one in new if not one.has_room(amount)}
        assert isinstance(got, Refused) is bool(full)
        if isinstance(got, Refused):
            assert got.budget in full
            self.refused += 1
            return
        for one in new:
            one.held[holder] = (attempt, amount)

    async def settle(self, holder: str) -> None:
        chosen, cost = self.some(), self.random.choice([None, self.amount()])
        told = await self.budgets.settle(chosen, holder=holder, cost_usd=cost)
        assert told == tuple(budget for budget in chosen if self.model[budget].end(holder, "spent", cost))
        self.warned += len(told)

    async def release(self, holder: str) -> None:
        chosen, billed = self.some(), self.random.choice([True, False])
        told = await self.budgets.release(chosen, holder=holder, maybe_billed=billed)
        into = "unclear" if billed else ""
        assert told == tuple(budget for budget in chosen if self.model[budget].end(holder, into, None))
        self.warned += len(told)

    async def lift(self, holder: str) -> None:
        budget, by, request = self.random.choice(ACCOUNTS), self.amount() / 3, f"after {holder}"
        by = by.quantize(Decimal("1e-9"))
        await self.budgets.raise_limit(budget, by_usd=by, request=request)
        self.model[budget].lift(by, request)

    async def die(self, holder: str) -> None:
        budget = self.random.choice(ACCOUNTS)
        await time_out(self.client, budget, holder)
        self.model[budget].dead += self.model[budget].held.pop(holder, ("", Decimal(0)))[1]

    async def pass_time(self, _: str) -> None:
        budget = self.random.choice(ACCOUNTS)
        if budget.scope != "run" and await self.client.exists(
            f"engross:{{budget}}:account:{budget.scope}:{budget.name}"
        ):
            await age(self.client, budget, "2024-02-29" if budget.scope == "day" else "2024-02")
            self.model[budget].start_anew()

    async def agree(self) -> None:
        for budget, one in self.model.items():
            found = await self.budgets.balance(budget)
            is_now = (found.spent_usd, found.unclear_usd, found.reserved_usd, found.raised_usd)
            assert is_now == (one.spent, one.unclear + one.dead, one.reserved(), one.raised)


@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
async def test_random_calls_agree_with_the_model(redis_client: redis.asyncio.Redis, seed: int) -> None:
    pair = Pair(redis_client, seed)
    steps = (pair.reserve, pair.settle, pair.release, pair.lift, pair.die, pair.pass_time)
    for _ in range(STEPS):
        await pair.random.choices(steps, (10, 6, 2, 1, 1, 1))[0](f"h{pair.random.randrange(6)}")
        await pair.agree()

    print(f"seed {seed}, N {STEPS} steps, {pair.refused} refused, {pair.warned} warnings")  # noqa: T201
    assert pair.refused > 5
