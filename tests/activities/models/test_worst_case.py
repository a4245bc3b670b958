"""What a call can cost at most: no usage within its tokens costs more, and the list's own sums agree."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage as ListUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from activities.models import prices
from activities.models.prices import Prices
from engross.contracts import ModelRef, Usage

MINI = ModelRef(provider="openai", model="gpt-4.1-mini")
HAIKU = ModelRef(provider="anthropic", model="claude-haiku-4-5")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LISTED = Prices({}, now=lambda: NOON)


def listed_models() -> Iterator[ModelRef]:
    for provider in get_snapshot().providers:
        for info in provider.models:
            yield ModelRef(provider=provider.id, model=info.id)


PRICED = [asked for asked in listed_models() if LISTED.worst_case(asked, input_tokens=1, output_tokens=1) is not None]
ASKED = st.sampled_from(PRICED)
TOKENS = st.one_of(st.integers(0, 3_000_000), st.sampled_from([128_000, 128_001, 200_000, 200_001, 272_000, 272_001]))
NOW = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - made aware


def test_most_of_the_list_has_a_price() -> None:
    assert len(PRICED) > 1000


@given(ASKED, TOKENS, TOKENS, st.data(), NOW)
def test_no_usage_costs_more_than_the_worst_case(
    asked: ModelRef, most_in: int, most_out: int, data: st.DataObject, now: datetime
) -> None:
    used_in = data.draw(st.integers(0, most_in))
    usage = Usage(
        input_tokens=used_in,
        output_tokens=data.draw(st.integers(0, most_out)),
        cached_tokens=data.draw(st.integers(0, used_in)),
    )
    worst = Prices({}, now=lambda: now).worst_case(asked, input_tokens=most_in, output_tokens=most_out)
    later = now + data.draw(st.timedeltas(timedelta(0), timedelta(days=400)))
    cost = Prices({}, now=lambda: later).cost(asked, usage, asked.model)
    assert worst is not None
    assert cost is None or cost <= worst


@given(ASKED, TOKENS, TOKENS, st.data(), NOW)
def test_costs_are_those_of_the_list(
    asked: ModelRef, most_in: int, out: int, data: st.DataObject, now: datetime
) -> None:
    usage = Usage(input_tokens=most_in + 1, output_tokens=out, cached_tokens=data.draw(st.integers(0, most_in)))
    counted = ListUsage(input_tokens=usage.input_tokens, output_tokens=out, cache_read_tokens=usage.cached_tokens)
    theirs = calc_price(
        counted, model_ref=asked.model, provider_id=asked.provider, genai_request_timestamp=now
    ).total_price
    assert Prices({}, now=lambda: now).cost(asked, usage, asked.model) == theirs


def test_all_input_may_be_written_to_the_cache() -> None:
    assert LISTED.worst_case(HAIKU, input_tokens=1_000_000, output_tokens=100_000) == Decimal("1.75")  # 1.25 + 0.50
    assert LISTED.cost(HAIKU, Usage(input_tokens=1_000_000, output_tokens=100_000), HAIKU.model) == Decimal("1.50")
    assert LISTED.worst_case(MINI, input_tokens=1_000_000, output_tokens=100_000) == Decimal("0.56")


@pytest.fixture
def priced() -> Iterator[list[ConditionalPrice]]:
    """The conditional prices of the model `made:up`, which the test fills in. There is only `made:made/of` besides."""
    conditional: list[ConditionalPrice] = []
    info = ModelInfo(id="up", match=ClauseEquals(equals="up"), prices=conditional, context_window=1234)
    of = ModelInfo(id="made/of", match=ClauseEquals(equals="made/of"), prices=flat(8))
    provider = Provider(id="made", name="made", api_pattern="made", models=[info, of])
    set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
    prices._find.cache_clear()
    yield conditional
    set_custom_snapshot(None)
    prices._find.cache_clear()


UP = ModelRef(provider="made", model="up")


def flat(usd: int) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(usd), output_mtok=Decimal(usd))


def most(input_tokens: int = 1_000_000) -> Decimal | None:
    return LISTED.worst_case(UP, input_tokens=input_tokens, output_tokens=0)


def test_past_prices_are_past_and_announced_ones_count(priced: list[ConditionalPrice]) -> None:
    priced.append(ConditionalPrice(None, prices=flat(9)))
    priced.append(ConditionalPrice(StartDateConstraint(date(2026, 1, 1)), prices=flat(2)))
    assert most() == 2
    priced.append(ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=flat(3)))
    assert most() == 3
    assert LISTED.cost(UP, Usage(input_tokens=1_000_000), "up") == 2


@pytest.mark.parametrize("hours", [(11, 13), (18, 20)], ids=["now", "later"])
@pytest.mark.parametrize("then", [1, 7])
def test_the_dearest_hour_counts(priced: list[ConditionalPrice], hours: tuple[int, int], then: int) -> None:
    start, end = (time(hour, tzinfo=UTC) for hour in hours)
    priced.append(ConditionalPrice(None, prices=flat(4)))
    priced.append(ConditionalPrice(TimeOfDateConstraint(start, end), prices=flat(then)))
    assert most() == max(4, then)


def test_tiers_count_from_where_they_start(priced: list[ConditionalPrice]) -> None:
    tiers = TieredPrices(Decimal(1), [Tier(start=200_000, price=Decimal(2))])
    priced.append(ConditionalPrice(None, prices=ModelPrice(input_mtok=tiers, output_mtok=tiers)))
    assert most(200_000) == Decimal("0.2")
    assert most(200_001) == Decimal("0.400002")
    tiers.tiers.append(Tier(start=300_000, price=Decimal(3)))
    costs = [LISTED.cost(UP, Usage(input_tokens=count), "up") for count in (200_000, 200_001, 300_000, 300_001)]
    assert costs == [Decimal("0.2"), Decimal("0.400002"), Decimal("0.6"), Decimal("0.900003")]


def test_a_longer_input_is_never_cheaper_at_most(priced: list[ConditionalPrice]) -> None:
    tiers = TieredPrices(Decimal(5), [Tier(start=100, price=Decimal(1))])
    priced.append(ConditionalPrice(None, prices=ModelPrice(input_mtok=tiers, output_mtok=tiers)))
    assert most(1_000_000) == 5


def test_a_price_for_every_call_is_added(priced: list[ConditionalPrice]) -> None:
    each = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5))
    priced.append(ConditionalPrice(None, prices=each))
    assert most() == Decimal("1.005")
    assert LISTED.cost(UP, Usage(input_tokens=1_000_000), "up") == Decimal("1.005")


def test_a_price_that_will_be_unknown_has_no_worst_case(priced: list[ConditionalPrice]) -> None:
    priced.append(ConditionalPrice(None, prices=flat(1)))
    priced.append(ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=ModelPrice()))
    assert most() is None


def test_a_name_may_say_the_provider_too(priced: list[ConditionalPrice]) -> None:
    priced.append(ConditionalPrice(None, prices=flat(1)))
    known = {
        name: LISTED.worst_case(ModelRef(provider="made", model=name), input_tokens=1_000_000, output_tokens=0)
        for name in ("up", "made/up", "made/of", "of", "else/up")
    }
    assert known == {"up": 1, "made/up": 1, "made/of": 8, "of": None, "else/up": None}


@pytest.mark.usefixtures("priced")
def test_names_that_nobody_gives_a_model_are_not_kept() -> None:
    before = prices._find.cache_info().currsize
    assert LISTED.cost(UP, Usage(input_tokens=1), "x" * 201) is None  # "up" has no prices at all here
    assert prices._find.cache_info().currsize == before + 1


@pytest.mark.usefixtures("priced")
def test_the_window_is_the_lists() -> None:
    assert LISTED.window(UP) == 1234
    assert LISTED.window(MINI) is None
