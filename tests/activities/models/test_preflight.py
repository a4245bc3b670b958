"""What is worked out before a call: windows, worst cases, and who pays."""

from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest
from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from activities.guards.budgets import Budget
from activities.models.preflight import Caps, Preflight
from activities.models.prices import Prices
from activities.models.prompts import Prompt
from activities.models.providers import ModelCall
from engross.contracts import AskRequest, BlobRef, ModelRef, RunBudget, StepPlan, TextRef
from engross.errors import CallTooDear, ContextTooLong, PriceUnknown
from engross.routes import OwnPrice

MINI = ModelRef(provider="openai", model="gpt-4.1-mini")
NO_PRICE = ModelRef(provider="openai", model="no-such-model")
OWN = Prices({"openai:own": OwnPrice(Decimal(1000), Decimal(2000))})


class Slip(BaseModel):
    total: float


def request(model: ModelRef, budget: RunBudget | None = None) -> AskRequest:
    blob = BlobRef(tenant="acme", sha256="0" * 64, size=1)
    step = StepPlan(
        name="read", prompt=blob, prompt_version="", schema_version="", route=(model,), max_output_tokens=1000
    )
    text = TextRef(tenant="acme", sha256="0" * 64, size=1)
    return AskRequest(job="slip", step=step, model=model, text=text, budget=budget)


def call(document: str = "Total: 5", most: int = 1000) -> ModelCall:
    prompt = Prompt(system="Read the slip.", user=document)
    return ModelCall(model="m", prompt=prompt, output=Slip, max_output_tokens=most, temperature=0)


async def test_an_estimate_has_the_tokens_the_worst_price_and_all_budgets() -> None:
    caps = Caps(tenant_usd=Decimal(5), day_usd=Decimal(50))
    own = ModelRef(provider="openai", model="own")
    run = RunBudget(account="first-run", limit_usd=Decimal(1))
    estimate = await Preflight(OWN, caps).estimate(request(own, run), call())
    input_tokens = estimate.tokens - 1000
    assert 200 < input_tokens < 500
    assert estimate.most_usd == Decimal(input_tokens) / 1000 + 2
    assert estimate.budgets == (
        Budget("run", "first-run", Decimal(1)),
        Budget("tenant", "acme", Decimal(5)),
        Budget("day", "", Decimal(50)),
    )


async def test_what_is_not_limited_is_counted_all_the_same() -> None:
    estimate = await Preflight(Prices({})).estimate(request(MINI), call())
    assert estimate.budgets == (Budget("tenant", "acme", None), Budget("day", "", None))


async def test_what_costs_nothing_comes_from_no_budget() -> None:
    free = ModelRef(provider="openai", model="stand-in")
    caps = Caps(call_usd=Decimal("0.000001"), day_usd=Decimal(1))
    estimate = await Preflight(Prices({}), caps).estimate(request(free), call())
    assert (estimate.most_usd, estimate.budgets) == (Decimal(0), ())


async def test_without_caps_a_model_without_a_price_may_be_asked() -> None:
    estimate = await Preflight(Prices({})).estimate(request(NO_PRICE), call())
    assert (estimate.most_usd, estimate.budgets) == (Decimal(0), ())


async def test_a_runs_own_budget_cannot_hold_an_unknown_price() -> None:
    run = RunBudget(account="first-run", limit_usd=Decimal(1))
    with pytest.raises(PriceUnknown, match="ENGROSS_PRICES=openai:no-such-model="):
        await Preflight(Prices({})).estimate(request(NO_PRICE, run), call())


@pytest.mark.parametrize(("ceiling", "passes"), [("0.0001", False), ("0.01", True)])
async def test_the_ceiling_is_on_the_worst_case(ceiling: str, passes: bool) -> None:
    preflight = Preflight(Prices({}), Caps(call_usd=Decimal(ceiling)))
    if passes:
        await preflight.estimate(request(MINI), call())
        return
    with pytest.raises(CallTooDear, match="ENGROSS_CALL_CEILING_USD"):
        await preflight.estimate(request(MINI), call())


async def test_what_no_window_holds_is_not_sent() -> None:
    with pytest.raises(ContextTooLong, match="a larger window"):
        await Preflight(Prices({})).estimate(request(MINI), call(document="17 words " * 2_000_000))


class Described(BaseModel):
    """Counts how often somebody wants its schema."""

    times: ClassVar[int] = 0
    total: float

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        Described.times += 1
        return handler(schema)


async def test_a_schema_counts_in_every_estimate_and_is_built_once_for_a_model() -> None:
    class Longer(Described):
        """Has more to say about itself, in its schema and nowhere else."""

    preflight = Preflight(Prices({}))
    short, *again = [await preflight.estimate(request(MINI), replace(call(), output=Described)) for _ in range(3)]
    assert again == [short, short]
    assert Described.times == 1
    longer = await preflight.estimate(request(MINI), replace(call(), output=Longer))
    assert longer.tokens > short.tokens
