"""What the tests of the budgets share: accounts of one dollar, short forms, and ways to make time pass."""

from decimal import Decimal
from typing import Final

import redis.asyncio

from activities.guards.budgets import Budget, Budgets, Refused, Reserved

HELD: Final = 3600.0
RUN: Final = Budget("run", "r1", Decimal(1))
TENANT: Final = Budget("tenant", "acme", Decimal(1))
DAY: Final = Budget("day", "", Decimal(1))


async def reserve(budgets: Budgets, usd: str, holder: str, *accounts: Budget, attempt: str = "1") -> Reserved | Refused:
    return await budgets.reserve(accounts or (RUN,), holder=holder, attempt=attempt, amount_usd=Decimal(usd))


async def spend(budgets: Budgets, usd: str, holder: str, budget: Budget = RUN) -> tuple[Budget, ...]:
    """Reserves and settles at that price."""
    assert await reserve(budgets, usd, holder, budget) == Reserved()
    return await budgets.settle((budget,), holder=holder, cost_usd=Decimal(usd))


async def amounts(budgets: Budgets, budget: Budget = RUN) -> tuple[float, float, float]:
    """Spent, reserved, unclear."""
    found = await budgets.balance(budget)
    return float(found.spent_usd), float(found.reserved_usd), float(found.unclear_usd)


async def age(client: redis.asyncio.Redis, budget: Budget, period: str) -> None:
    """Makes the account's period another one, as if the clock had gone on since."""
    account = f"engross:{{budget}}:account:{budget.scope}:{budget.name}"
    await client.hset(account, "period", period)


async def time_out(client: redis.asyncio.Redis, budget: Budget, holder: str) -> None:
    """Puts the deadline of the holder's reservation into the past."""
    await client.zadd(f"engross:{{budget}}:deadlines:{budget.scope}:{budget.name}", {holder: 1}, xx=True)
