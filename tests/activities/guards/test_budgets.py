"""The budgets against a real server: who may spend, what is charged, and what the dead leave behind."""

from decimal import Decimal

import pytest
import redis.asyncio

from activities.guards.budgets import Budget, Budgets, Refused, Reserved, Scope
from tests.activities.guards.budget_accounts import DAY, HELD, RUN, TENANT, amounts, reserve, spend, time_out

DAY_SECONDS = 86_400


@pytest.fixture
def budgets(redis_client: redis.asyncio.Redis) -> Budgets:
    return Budgets(redis_client, held_seconds=HELD)


# --- reserving and settling -------------------------------------------------------------------------------------


async def test_a_spent_budget_refuses_and_tells_why(budgets: Budgets) -> None:
    await spend(budgets, "0.5", "a")
    assert await reserve(budgets, "0.3", "b") == Reserved()

    assert await reserve(budgets, "0.2", "c") == Reserved()  # to the last nano-dollar
    assert await reserve(budgets, "1e-9", "d") == Refused(RUN, Decimal(1), Decimal(1), None)


async def test_one_refusal_takes_nothing_from_any_budget(budgets: Budgets) -> None:
    await spend(budgets, "0.9", "a", TENANT)

    refused = await reserve(budgets, "0.2", "b", RUN, TENANT, DAY)

    assert isinstance(refused, Refused)
    assert refused.budget == TENANT
    for budget in (RUN, DAY):
        assert await amounts(budgets, budget) == (0, 0, 0)
    assert await amounts(budgets, TENANT) == (0.9, 0, 0)


async def test_the_longest_wait_is_reported(budgets: Budgets) -> None:
    for budget in (DAY, RUN, TENANT):
        await spend(budgets, "1", "a", budget)

    of_day = await reserve(budgets, "1", "b", DAY)
    of_both = await reserve(budgets, "1", "b", DAY, TENANT)
    of_all = await reserve(budgets, "1", "b", DAY, RUN, TENANT)

    assert isinstance(of_day, Refused)
    assert isinstance(of_both, Refused)
    assert isinstance(of_all, Refused)
    assert of_day.seconds is not None
    assert of_both.seconds is not None
    assert 0 < of_day.seconds <= DAY_SECONDS
    assert of_day.seconds - 60 < of_both.seconds <= 31 * DAY_SECONDS
    assert (of_all.budget, of_all.seconds) == (RUN, None)


async def test_settling_charges_what_it_cost_once(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    await reserve(budgets, "0.5", "less", RUN, TENANT)
    await reserve(budgets, "0.4", "more", RUN, TENANT)
    for _ in range(3):
        await budgets.settle((RUN, TENANT), holder="less", cost_usd=Decimal("0.25"))
        await budgets.settle((RUN, TENANT), holder="more", cost_usd=Decimal("0.5"))

    assert await amounts(budgets, RUN) == await amounts(budgets, TENANT) == (0.75, 0, 0)
    assert await redis_client.dbsize() == 2  # the accounts; nothing is left of the reservations


async def test_an_unknown_cost_is_charged_in_full(budgets: Budgets) -> None:
    await reserve(budgets, "0.5", "a")
    await budgets.settle((RUN,), holder="a", cost_usd=None)

    assert await amounts(budgets) == (0.5, 0, 0)


@pytest.mark.parametrize(("maybe_billed", "left"), [(False, (0, 0, 0)), (True, (0, 0, 0.5))])
async def test_a_release_gives_back_only_what_was_surely_not_billed(
    budgets: Budgets, maybe_billed: bool, left: tuple[float, float, float]
) -> None:
    await reserve(budgets, "0.5", "a")
    for _ in range(3):
        await budgets.release((RUN,), holder="a", maybe_billed=maybe_billed)

    assert await amounts(budgets) == left
    refused = isinstance(await reserve(budgets, "0.6", "b"), Refused)
    assert refused is maybe_billed


async def test_who_holds_nothing_changes_nothing(budgets: Budgets) -> None:
    await reserve(budgets, "0.5", "a")
    await budgets.settle((RUN, TENANT), holder="b", cost_usd=Decimal(1))
    await budgets.release((RUN, TENANT), holder="b", maybe_billed=True)

    assert await amounts(budgets, RUN) == (0, 0.5, 0)
    assert await amounts(budgets, TENANT) == (0, 0, 0)


async def test_a_free_model_passes_with_a_spent_budget(budgets: Budgets) -> None:
    await spend(budgets, "1", "a")

    assert await reserve(budgets, "0", "b") == Reserved()
    await budgets.settle((RUN,), holder="b", cost_usd=Decimal("0.5"))  # it was not free after all
    assert await amounts(budgets) == (1.5, 0, 0)


async def test_without_a_limit_it_is_counted_for_a_later_one(budgets: Budgets) -> None:
    await spend(budgets, "1000000", "a", Budget("tenant", "acme", None))

    assert isinstance(await reserve(budgets, "1e-9", "b", TENANT), Refused)


async def test_accounts_have_their_own(budgets: Budgets) -> None:
    same_name: tuple[Scope, ...] = ("run", "tenant")
    for scope in same_name:
        await spend(budgets, "1", "a", Budget(scope, "acme", Decimal(1)))

    for budget in (Budget("tenant", "globex", Decimal(1)), Budget("run", "acme:1", Decimal(1)), DAY):
        assert await reserve(budgets, "1", "b", budget) == Reserved()


# --- who dies ---------------------------------------------------------------------------------------------------


async def test_tenants_with_an_account_are_known_by_name(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    assert await budgets.tenants() == ()
    await spend(budgets, "0.4", "a", TENANT)
    await budgets.raise_limit(Budget("tenant", "raised-only", None), by_usd=Decimal(1), request="r")
    await reserve(budgets, "0.4", "b", RUN, DAY, Budget("tenant", "acme_2", None))
    await redis_client.mset({f"engross:completion:{n}": "" for n in range(3000)})  # several steps of a scan

    assert await budgets.tenants() == ("acme", "acme_2", "raised-only")


async def test_the_same_attempt_is_reserved_once(budgets: Budgets) -> None:
    for _ in range(3):
        assert await reserve(budgets, "0.6", "a", RUN, DAY, attempt="1 a") == Reserved()

    assert await amounts(budgets, RUN) == await amounts(budgets, DAY) == (0, 0.6, 0)


async def test_a_holder_that_comes_again_died_in_mid_call(budgets: Budgets) -> None:
    await reserve(budgets, "0.4", "a", attempt="1")
    for _ in range(2):
        assert await reserve(budgets, "0.5", "a", attempt="2") == Reserved()
    assert await amounts(budgets) == (0, 0.5, 0.4)

    assert isinstance(await reserve(budgets, "0.2", "a", attempt="3"), Refused)
    assert await amounts(budgets) == (0, 0, 0.9)


async def test_a_reservation_past_its_deadline_becomes_unclear(
    budgets: Budgets, redis_client: redis.asyncio.Redis
) -> None:
    await reserve(budgets, "0.4", "dead")
    await reserve(budgets, "0.3", "slow")
    await time_out(redis_client, RUN, "dead")

    assert await amounts(budgets) == (0, 0.3, 0.4)
    await budgets.settle((RUN,), holder="slow", cost_usd=Decimal("0.1"))
    await budgets.settle((RUN,), holder="dead", cost_usd=Decimal("0.1"))  # too late
    assert await amounts(budgets) == (0.1, 0, 0.4)
    await time_out(redis_client, RUN, "dead")
    assert await amounts(budgets) == (0.1, 0, 0.4)


async def test_the_deadline_is_the_time_told(redis_client: redis.asyncio.Redis) -> None:
    before = (await redis_client.time())[0]
    await reserve(Budgets(redis_client, held_seconds=100), "0.4", "a")
    after = (await redis_client.time())[0] + 1

    deadline = await redis_client.zscore("engross:{budget}:deadlines:run:r1", "a")

    assert deadline is not None
    assert before + 100 <= float(deadline) / 1e6 <= after + 100


async def test_a_sweep_is_bounded_and_counts_the_rest(budgets: Budgets, redis_client: redis.asyncio.Redis) -> None:
    for n in range(250):
        await reserve(budgets, "0.004", f"dead{n}")
    await redis_client.zadd("engross:{budget}:deadlines:run:r1", {f"dead{n}": 1 for n in range(250)})

    for left in (150, 50, 0):
        assert isinstance(await reserve(budgets, "0.004", "next"), Refused)
        assert await redis_client.zcard("engross:{budget}:deadlines:run:r1") == left
    assert await amounts(budgets) == (0, 0, 1)
