"""Prices: exact, never zero by accident, never too low for what a provider says; own prices first."""

from decimal import Decimal
from fractions import Fraction

import pytest

from activities.models.prices import Prices, same_model
from engross.contracts import ModelRef, Usage
from engross.routes import OwnPrice, parse_prices

MINI = ModelRef(provider="openai", model="gpt-4.1-mini")
USED = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=400_000)
LISTED = Prices({})


def openai(model: str) -> ModelRef:
    return ModelRef(provider="openai", model=model)


def own(text: str) -> Prices:
    return Prices(parse_prices(text))


# --- what a call cost -------------------------------------------------------------------------------------------


def test_costs_are_exact_and_cached_tokens_are_cache_reads() -> None:
    assert LISTED.cost(MINI, USED, MINI.model) == Decimal("0.44")  # 0.6 M at 0.40, 0.4 M at 0.10, 0.1 M at 1.60
    assert LISTED.cost(MINI, Usage(input_tokens=1), MINI.model) == Decimal("4e-7")


@pytest.mark.parametrize("model", ["llama3.1", "no-such-model", "text-embedding-3-small", "moderation", "x" * 10_000])
def test_a_model_without_a_price_is_unknown_not_free(model: str) -> None:
    assert LISTED.cost(openai(model), USED, model) is None
    assert LISTED.worst_case(openai(model), input_tokens=5, output_tokens=5) is None
    assert LISTED.cost(ModelRef(provider="no-such-provider", model=model), USED, model) is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(),
        Usage(output_tokens=5),
        Usage(input_tokens=-1, output_tokens=5),
        Usage(input_tokens=5, output_tokens=-1),
        Usage(input_tokens=5, cached_tokens=-1),
        Usage(input_tokens=5, cached_tokens=6),
        Usage(input_tokens=10**12),
        Usage(input_tokens=5, output_tokens=10**30),
    ],
    ids=str,
)
def test_missing_and_impossible_usage_has_no_price(usage: Usage | None) -> None:
    assert LISTED.cost(MINI, usage, MINI.model) is None
    assert own("openai=1/1").cost(MINI, usage, MINI.model) is None


@pytest.mark.parametrize("usage", [None, USED, Usage(input_tokens=-5)], ids=str)
@pytest.mark.parametrize("asked", [openai("stand-in"), ModelRef(provider="local", model="gpt-4o")], ids=str)
def test_the_stand_in_and_local_models_are_known_to_be_free(asked: ModelRef, usage: Usage | None) -> None:
    assert LISTED.cost(asked, usage, asked.model) == 0
    assert LISTED.worst_case(asked, input_tokens=10**6, output_tokens=10**6) == 0


# --- own prices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "asked", "cost"),
    [
        ("openai:llama3=1/10", openai("llama3"), 2),
        ("openai:llama3=1/10", openai("Llama3:latest"), 2),
        ("openai:llama3=1/10", openai("llama4"), None),
        ("openai:gpt-4.1-mini=1/10", MINI, 2),
        ("openai:gpt-4.1-mini=1/10", openai("gpt-4.1-mini-2025-04-14"), 2),
        ("openai:gpt-4o=2/20,openai:OpenAI/gpt-4o-2024-08-06=1/10", openai("openai/gpt-4o-2024-08-06"), 2),
        ("openai=1/10,openai:gpt-4.1-mini=2/20", MINI, 4),
        ("openai=1/10,openai:gpt-4.1-mini=2/20", openai("anything"), 2),
        ("anthropic=1/10", openai("anything"), None),
        ("openai=1/10", openai("stand-in"), 0),
        ("openai:stand-in=1/10", openai("stand-in"), 2),
        ("local=1/10", ModelRef(provider="local", model="gemma"), 2),
        ("openai:llama3=0/0", openai("llama3"), 0),
    ],
)
def test_own_prices_go_first(text: str, asked: ModelRef, cost: int | None) -> None:
    assert own(text).cost(asked, USED, asked.model) == cost
    assert own(text).worst_case(asked, input_tokens=1_000_000, output_tokens=100_000) == cost


def test_own_prices_hold_for_the_dated_name_that_answers() -> None:
    assert own("openai:gpt-4.1-mini=0.1/0.1").cost(MINI, USED, "gpt-4.1-mini-2025-04-14") == Decimal("0.11")


def test_costs_by_own_prices_are_exact() -> None:
    price = Prices({"openai": OwnPrice(Decimal("999999.999999"), Decimal("0.000001"))})
    cost = price.cost(MINI, Usage(input_tokens=99_999_999, output_tokens=99_999_999), MINI.model)
    assert cost == Fraction(99_999_999 * (999_999_999_999 + 1), 10**12)


# --- another model answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
        ("gpt-4.1-mini", "openai/gpt-4.1-mini"),
        ("openai/gpt-4.1-mini", "GPT-4.1-mini-2025-04-14"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-haiku-4-5", "claude-haiku-4-5@20251001"),
        ("gpt-4", "gpt-4-0613"),
        ("qwen3-235b", "qwen3-235b-2507"),
        ("llama3", "llama3:latest"),
        ("gpt-4o-2024-08-06", "gpt-4o-20240806"),
    ],
)
def test_one_model_may_have_several_names(asked: str, answered: str) -> None:
    assert same_model(asked, answered)
    assert same_model(answered, asked)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4.1-mini", "gpt-4.1"),
        ("gpt-4.1-mini", "gpt-4.1-nano"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("gpt-4-0613", "gpt-4-0314"),
        ("llama3:8b", "llama3:70b"),
        ("gpt-4", "gpt-4-1106-preview"),
        ("claude-haiku-4-5", "claude-haiku-4"),
        ("gpt-4.1-mini", ""),
    ],
)
def test_other_names_are_other_models(asked: str, answered: str) -> None:
    assert not same_model(asked, answered)
    assert not same_model(answered, asked)


@pytest.mark.parametrize(
    ("asked", "answered", "as_if"),
    [
        ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "somewhere/gpt-4.1-mini-2099-01-01", "gpt-4.1-mini"),
        ("somewhere/gpt-4.1-mini", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-4.1-mini", "gpt-4.1", "gpt-4.1"),
        ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1"),
        ("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4.1-mini", "stand-in", "gpt-4.1-mini"),
        ("stand-in", "gpt-4.1-mini", "gpt-4.1-mini"),
    ],
)
def test_the_dearer_of_the_asked_and_the_answering_model_holds(asked: str, answered: str, as_if: str) -> None:
    cost = LISTED.cost(openai(as_if), USED, as_if)
    assert cost
    assert LISTED.cost(openai(asked), USED, answered) == cost


def test_another_model_without_a_price_makes_the_cost_unknown() -> None:
    assert LISTED.cost(MINI, USED, "somewhere/llama3") is None
    assert LISTED.cost(openai("llama3"), USED, MINI.model) is None
    assert LISTED.cost(openai("stand-in"), USED, "llama3") is None


# --- windows ----------------------------------------------------------------------------------------------------


def test_windows_are_the_lists_and_unknown_elsewhere() -> None:
    assert LISTED.window(openai("gpt-4.1-mini-2025-04-14")) == LISTED.window(MINI) == 1_000_000
    assert LISTED.window(openai("stand-in")) is None
    assert LISTED.window(ModelRef(provider="local", model="gpt-4o")) is None
