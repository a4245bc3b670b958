"""The budgets under load and faults, against a real server: many at once, killed, frozen, and a model to agree with."""

import asyncio
import random
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import redis.asyncio

from activities.guards.budgets import Budget, Budgets, Refused, Reserved
from engross.errors import ServiceUnavailable
from tests.activities.guards.budget_accounts import DAY, HELD, RUN, TENANT, amounts, reserve, spend
from tests.activities.guards.conftest import Proxy
from tests.valkey import Valkey, make_client

SEED = 20240229
DEADLINE = 30.0
ALL = (RUN, TENANT, DAY)


@pytest.fixture
async def shared(valkey: Valkey, redis_client: redis.asyncio.Redis) -> AsyncIterator[tuple[Budgets, ...]]:
    """Five workers."""
    del redis_client  # needed for its effect only
    clients = tuple(make_client(valkey.url) for _ in range(5))
    yield tuple(Budgets(client, held_seconds=HELD) for client in clients)
    for client in clients:
        await client.aclose()


async def taken(budgets: Budgets, budget: Budget) -> Decimal:
    found = await budgets.balance(budget)
    return found.spent_usd + found.reserved_usd + found.unclear_usd


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
async def test_many_at_once_never_exceed_any_limit(shared: tuple[Budgets, ...], seed: int) -> None:
    random_ = random.Random(seed)  # noqa: S311 - not a secret
    refused, most, spent = [0], [Decimal(0)], {"run": Decimal(0), "day": Decimal(0)}
    runs = [Budget("run", f"r{n}", Decimal("0.4")) for n in range(4)]

    async def worker(number: int) -> None:
        for n in range(20):
            budgets, accounts = random_.choice(shared), (random_.choice(runs), DAY)
            price, holder = Decimal(random_.randint(1, 40)) / 1000, f"{number}-{n}"
            got = await budgets.reserve(accounts, holder=holder, attempt="1", amount_usd=price)
            if isinstance(got, Refused):
                refused[0] += 1
                continue
            cost = price * random_.randint(0, 100) / 100
            for _ in range(random_.choice([1, 1, 2])):
                await random_.choice(shared).settle(accounts, holder=holder, cost_usd=cost)
            spent["day"] += cost
            spent["run"] += cost if accounts[0] == runs[0] else 0

    async def watcher() -> None:
        while True:
            most[0] = max(most[0], await taken(shared[0], DAY))
            assert await taken(shared[0], runs[0]) <= Decimal("0.4")

    watching = asyncio.create_task(watcher())
    await asyncio.wait_for(asyncio.gather(*(worker(number) for number in range(20))), DEADLINE)
    assert not watching.done()
    watching.cancel()

    print(f"seed {seed}, N 400 reservations, {refused[0]} refused, {most[0]:.3f} of 1 taken at most")  # noqa: T201
    assert refused[0] > 20
    assert Decimal("0.9") < most[0] <= 1
    for budget in (DAY, runs[0]):
        assert await amounts(shared[0], budget) == (float(spent[budget.scope]), 0, 0)


@pytest.mark.fault(50)
async def test_a_killed_server_forgets_nothing_it_acknowledged(valkey: Valkey, shared: tuple[Budgets, ...]) -> None:
    """Workers reserve and settle until the server dies under them; then each repeats what it has no reply to."""
    random_ = random.Random(SEED)  # noqa: S311 - not a secret
    kill_after, done = random_.randint(100, 200), [0]
    account = (Budget("tenant", "acme", None), DAY)
    costs: list[Decimal] = []
    pending: list[tuple[str, bool]] = []  # holder, and whether its reservation is acknowledged

    async def worker(number: int) -> None:
        for n in range(10_000):
            holder, acknowledged = f"{number}-{n}", False
            try:
                await reserve(shared[number % 5], "0.00001", holder, *account)
                acknowledged = True
                await shared[number % 5].settle(account, holder=holder, cost_usd=Decimal("0.000007"))
            except ServiceUnavailable:
                pending.append((holder, acknowledged))
                return
            costs.append(Decimal("0.000007"))
            done[0] += 1
            if done[0] == kill_after:
                valkey.kill()

    await asyncio.wait_for(asyncio.gather(*(worker(number) for number in range(10))), DEADLINE)
    valkey.start()

    for budget in account:
        found = await shared[0].balance(budget)
        least, most = sum(costs), sum(costs) + len(pending) * Decimal("0.000007")
        assert least <= found.spent_usd <= most
        assert found.reserved_usd <= len(pending) * Decimal("0.00001")
    print(f"seed {SEED}, N {len(costs)} settled, {len(pending)} without a reply: 0 lost")  # noqa: T201
    assert len(pending) == 10
    for holder, acknowledged in pending:
        if not acknowledged:
            await reserve(shared[0], "0.00001", holder, *account)
        await shared[0].settle(account, holder=holder, cost_usd=Decimal("0.000007"))
    for budget in account:
        assert (await shared[0].balance(budget)).spent_usd == (len(costs) + 10) * Decimal("0.000007")
        assert await amounts(shared[0], budget) == ((len(costs) + 10) * 7 / 1_000_000, 0, 0)


# --- a call whose reply is lost -----------------------------------------------------------------------------------

# From 0.5 reserved by `a` and 0.2 by `b`: what a step leaves as spent, reserved and unclear, and whom it warns.
STEPS = [
    ("raise", (0, 0.7, 0), ()),
    ("reserve", (0, 0.8, 0.2), ()),
    ("settle", (0.95, 0.2, 0), ALL),
    ("release", (0, 0.2, 0.5), ()),
]


async def step(budgets: Budgets, name: str) -> tuple[Budget, ...]:
    if name == "settle":
        return await budgets.settle(ALL, holder="a", cost_usd=Decimal("0.95"))
    if name == "release":
        return await budgets.release(ALL, holder="a", maybe_billed=True)
    if name == "reserve":
        assert await reserve(budgets, "0.3", "b", *ALL, attempt="2") == Reserved()
    else:
        for budget in ALL:
            await budgets.raise_limit(budget, by_usd=Decimal(1), request="more")
    return ()


async def prepare(budgets: Budgets) -> None:
    """The reservations; before them every script runs once, so that the server has it."""
    other = Budget("run", "other", None)
    await spend(budgets, "0", "a", other)
    await budgets.raise_limit(other, by_usd=Decimal(0), request="more")
    await reserve(budgets, "0.5", "a", *ALL)
    await reserve(budgets, "0.2", "b", *ALL)


async def has_happened_once(budgets: Budgets, name: str, left: tuple[float, float, float]) -> None:
    for budget in ALL:
        assert await amounts(budgets, budget) == left
        assert (await budgets.balance(budget)).raised_usd == (1 if name == "raise" else 0)


@pytest.mark.fault(52)
@pytest.mark.parametrize(("name", "left", "told"), STEPS)
async def test_what_is_repeated_after_a_freeze_happens_once(
    valkey: Valkey, redis_client: redis.asyncio.Redis, name: str, left: tuple[float, float, float], told: object
) -> None:
    budgets, hasty = Budgets(redis_client, held_seconds=HELD), make_client(valkey.url, seconds=0.2)
    await prepare(Budgets(hasty, held_seconds=HELD))
    valkey.freeze()
    try:
        with pytest.raises(ServiceUnavailable, match="Redis does not answer") as raised:
            await step(Budgets(hasty, held_seconds=HELD), name)
    finally:
        valkey.thaw()
        await hasty.aclose()

    assert raised.value.retryable
    assert await step(budgets, name) == told
    await has_happened_once(budgets, name, left)


@pytest.mark.parametrize(("name", "left", "told"), [case for case in STEPS if case[0] != "raise"])
async def test_what_is_repeated_after_a_lost_reply_happens_once(
    proxy: Proxy, redis_client: redis.asyncio.Redis, name: str, left: tuple[float, float, float], told: object
) -> None:
    """Here the step has surely taken effect before it is repeated."""
    budgets, hasty = Budgets(redis_client, held_seconds=HELD), make_client(proxy.url, seconds=0.5)
    await prepare(Budgets(hasty, held_seconds=HELD))
    proxy.hold()
    with pytest.raises(ServiceUnavailable):
        await step(Budgets(hasty, held_seconds=HELD), name)
    await asyncio.wait_for(proxy.holding.wait(), DEADLINE)
    await has_happened_once(budgets, name, left)
    proxy.release()
    await hasty.aclose()

    assert await step(budgets, name) == told
    await has_happened_once(budgets, name, left)
