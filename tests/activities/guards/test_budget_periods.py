"""Budgets over time, against a real server: months and days, raises, warnings, and what an amount may be."""

import calendar
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import redis.asyncio

from activities.guards.budget_scripts import PERIOD
from activities.guards.budgets import Budget, Budgets, Refused, Reserved, Scope
from tests.activities.guards.budget_accounts import DAY, HELD, RUN, TENANT, age, amounts, reserve, spend

SEED = 20240229
EPOCH = date(1970, 1, 1)


@pytest.fixture
def budgets(redis_client: redis.asyncio.Redis) -> Budgets:
    return Budgets(redis_client, held_seconds=HELD)


# --- periods ----------------------------------------------------------------------------------------------------


async def test_the_servers_calendar_is_pythons(redis_client: redis.asyncio.Redis) -> None:
    random_ = random.Random(SEED)  # noqa: S311 - not a secret
    far = (random_.randrange((date(9999, 1, 1) - EPOCH).days) for _ in range(20_000))
    days = [*range((date(2120, 1, 1) - EPOCH).days), *far]
    print(f"seed {SEED}, N {len(days)} days")  # noqa: T201 - for whoever repeats it
    script = redis_client.register_script(
        PERIOD
        + """
local out = {}
for i, day in ipairs(ARGV) do
  local month, month_ends = period('tenant', tonumber(day))
  local name, ends = period('day', tonumber(day))
  out[i] = month .. ' ' .. month_ends .. ' ' .. name .. ' ' .. ends
end
return out
"""
    )
    for first in range(0, len(days), 5_000):
        part = days[first : first + 5_000]
        assert [line.decode() for line in await script(args=part)] == [_expected(day) for day in part]


def _expected(number: int) -> str:
    day = EPOCH + timedelta(days=number)
    month_ends = number - day.day + 1 + calendar.monthrange(day.year, day.month)[1]
    return f"{day:%Y}-{day:%m} {month_ends} {day.isoformat()} {number + 1}"


async def test_a_balance_names_its_period_and_its_end(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    begun = (await _today(redis_client), await budgets.balance(DAY), await budgets.balance(TENANT))
    today, of_day, of_month = begun
    later = await _today(redis_client)

    assert of_day.period in (today.isoformat(), later.isoformat())
    assert of_month.period in (today.isoformat()[:7], later.isoformat()[:7])
    assert of_day.ends_at is not None
    assert of_month.ends_at is not None
    assert of_day.ends_at - timedelta(days=1) == datetime.fromisoformat(of_day.period).replace(tzinfo=UTC)
    assert (of_month.ends_at - timedelta(days=1)).strftime("%Y-%m") == of_month.period
    assert (of_month.ends_at.day, of_month.ends_at.hour) == (1, 0)
    of_run = await budgets.balance(RUN)
    assert (of_run.period, of_run.ends_at) == ("", None)
    assert await redis_client.dbsize() == 0


async def _today(client: redis.asyncio.Redis) -> date:
    return datetime.fromtimestamp((await client.time())[0], UTC).date()


@pytest.mark.parametrize(("budget", "past"), [(DAY, "2024-02-29"), (TENANT, "2024-02")])
async def test_a_new_period_starts_from_nothing_but_keeps_what_is_reserved(
    budgets: Budgets, redis_client: redis.asyncio.Redis, budget: Budget, past: str
) -> None:
    await budgets.raise_limit(budget, by_usd=Decimal(1), request="more")
    await reserve(budgets, "0.5", "unclear", budget)
    await budgets.release((budget,), holder="unclear", maybe_billed=True)
    await reserve(budgets, "0.5", "under way", budget)
    assert await spend(budgets, "1", "a", budget) == ()
    assert await amounts(budgets, budget) == (1, 0.5, 0.5)

    await age(redis_client, budget, past)

    assert await amounts(budgets, budget) == (0, 0.5, 0)
    assert isinstance(await reserve(budgets, "0.6", "b", budget), Refused)  # the raise is gone
    await budgets.settle((budget,), holder="under way", cost_usd=Decimal("0.25"))
    assert await amounts(budgets, budget) == (0.25, 0, 0)
    await budgets.raise_limit(budget, by_usd=Decimal(1), request="more")  # another one, in this period
    assert (await budgets.balance(budget)).raised_usd == 1


@pytest.mark.parametrize("days", [1, -1, 2])
async def test_a_clock_put_back_a_little_does_not_empty_the_account(
    budgets: Budgets, redis_client: redis.asyncio.Redis, days: int
) -> None:
    """Only the next period can have begun already; any other one is a clock that was wrong by more."""
    await spend(budgets, "1", "a", DAY)
    shown = (await _today(redis_client)) + timedelta(days=days)
    await age(redis_client, DAY, shown.isoformat())

    assert isinstance(await reserve(budgets, "1", "b", DAY), Refused) is (days == 1)


async def test_a_run_has_one_account_for_life(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    await spend(budgets, "1", "a", RUN)

    async for key in redis_client.scan_iter():
        assert 29 * 86_400 < await redis_client.ttl(key) <= 30 * 86_400, key
    assert isinstance(await reserve(budgets, "1", "b"), Refused)


async def test_every_key_expires(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    await reserve(budgets, "0.5", "a", TENANT, DAY)
    await budgets.raise_limit(TENANT, by_usd=Decimal(1), request="more")

    keys = [key async for key in redis_client.scan_iter()]

    assert len(keys) == 6
    for key in keys:
        assert 39 * 86_400 < await redis_client.ttl(key) <= 40 * 86_400, key
        assert key.startswith(b"engross:{budget}:")


# --- raises and warnings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [RUN, TENANT, DAY])
async def test_a_raise_lets_more_pass_once(budgets: Budgets, budget: Budget) -> None:
    await spend(budgets, "1", "a", budget)
    for _ in range(3):
        await budgets.raise_limit(budget, by_usd=Decimal("0.5"), request="first")
    await budgets.raise_limit(budget, by_usd=Decimal("0.25"), request="second")

    refused = await reserve(budgets, "0.76", "b", budget)
    assert isinstance(refused, Refused)
    assert refused.limit_usd == Decimal("1.75")
    assert await reserve(budgets, "0.75", "b", budget) == Reserved()
    assert (await budgets.balance(budget)).raised_usd == Decimal("0.75")


async def test_ninety_percent_is_told_once_and_again_after_a_raise(budgets: Budgets) -> None:
    assert await spend(budgets, "0.899999999", "a") == ()
    assert await spend(budgets, "1e-9", "b") == (RUN,)
    assert await spend(budgets, "0.05", "c") == ()

    await budgets.raise_limit(RUN, by_usd=Decimal("0.05"), request="too little")
    assert await spend(budgets, "0.01", "d") == ()
    await budgets.raise_limit(RUN, by_usd=Decimal("0.95"), request="enough")
    assert await spend(budgets, "0.83", "e") == ()
    assert await spend(budgets, "0.01", "f") == (RUN,)


async def test_what_is_reserved_warns_nobody(budgets: Budgets) -> None:
    await reserve(budgets, "0.95", "a")

    assert await spend(budgets, "0.05", "b") == ()
    assert await budgets.release((RUN,), holder="a", maybe_billed=False) == ()


async def test_only_the_budgets_that_crossed_are_told(budgets: Budgets) -> None:
    small, unlimited = Budget("run", "small", Decimal("0.1")), Budget("run", "unlimited", None)
    both = (TENANT, unlimited, small)
    await reserve(budgets, "0.1", "a", *both)

    assert await budgets.release(both, holder="a", maybe_billed=True) == (small,)


async def test_a_repeated_settlement_repeats_its_warning(budgets: Budgets) -> None:
    await reserve(budgets, "1", "a")

    told = [await budgets.settle((RUN,), holder="a", cost_usd=Decimal(1)) for _ in range(2)]

    assert told == [(RUN,), (RUN,)]
    assert await budgets.settle((RUN,), holder="b", cost_usd=Decimal(1)) == ()


async def test_each_period_warns_anew(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    for past in ("2024-02-28", "2024-02-29"):
        assert await spend(budgets, "0.95", "a", DAY) == (DAY,)
        await age(redis_client, DAY, past)


async def test_a_limit_of_nothing_warns_nobody_who_pays_nothing(budgets: Budgets) -> None:
    assert await spend(budgets, "0", "a", Budget("run", "free", Decimal(0))) == ()


# --- amounts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0.1", "0.1"),
        ("0.1000000001", "0.100000001"),
        ("1e-30", "0.000000001"),
        ("0.1000000000" + 40 * "0" + "1", "0.100000001"),  # more digits than a decimal context keeps
    ],
)
async def test_amounts_are_rounded_up(budgets: Budgets, told: str, kept: str) -> None:
    await reserve(budgets, told, "a")

    assert (await budgets.balance(RUN)).reserved_usd == Decimal(kept)


@pytest.mark.parametrize("wrong", ["-0.01", "1000000.01", "NaN", "sNaN", "Infinity"])
async def test_impossible_amounts_are_refused(budgets: Budgets, wrong: str) -> None:
    with pytest.raises(ValueError, match="0 to 1,000,000 USD"):
        Budget("run", "r", Decimal(wrong))
    with pytest.raises(ValueError, match="0 to 1,000,000 USD"):
        await reserve(budgets, wrong, "a")
    with pytest.raises(ValueError, match="0 to 1,000,000 USD"):
        await budgets.settle((RUN,), holder="a", cost_usd=Decimal(wrong))


async def test_the_largest_amounts_stay_exact(budgets: Budgets) -> None:
    large = Budget("run", "large", Decimal(1_000_000))
    assert await reserve(budgets, "999999.999999999", "a", large) == Reserved()
    assert await reserve(budgets, "1e-9", "b", large) == Reserved()

    assert isinstance(await reserve(budgets, "1e-9", "c", large), Refused)
    assert (await budgets.balance(large)).reserved_usd == 1_000_000


@pytest.mark.parametrize(("scope", "name"), [("run", ""), ("tenant", ""), ("day", "acme")])
def test_a_budget_is_named_by_its_scope(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match="names its run or tenant"):
        Budget(scope, name, None)


async def test_mistakes_of_the_caller_are_refused(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    with pytest.raises(ValueError, match="same account twice"):
        await reserve(budgets, "0", "a", RUN, Budget("run", RUN.name, None))
    with pytest.raises(ValueError, match="holder has a name"):
        await reserve(budgets, "0", "")
    with pytest.raises(ValueError, match="holder has a name"):
        await budgets.settle((RUN,), holder="", cost_usd=None)
    with pytest.raises(ValueError, match="held_seconds"):
        Budgets(redis_client, held_seconds=0)
