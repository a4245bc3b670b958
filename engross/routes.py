"""Routes and limits as people write them in settings and jobs."""

import re
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from engross.contracts import ModelRef
from engross.names import PROVIDERS

Tier = Literal["low", "medium", "high"]
TIERS: Final[tuple[Tier, ...]] = ("low", "medium", "high")


def parse_route(text: str) -> tuple[ModelRef, ...]:
    """`openai:gpt-4.1-mini,anthropic:claude-haiku-4-5` as models; ValueError with the expected form otherwise."""
    route = []
    for part in text.split(","):
        provider, _, model = part.strip().partition(":")
        if not model or provider not in PROVIDERS:
            forms = " or ".join(f"{name}:<model>" for name in PROVIDERS)
            raise ValueError(f"write it as {forms}, or several with commas between")
        route.append(ModelRef(provider=provider, model=model))
    return tuple(route)


class Rates(NamedTuple):
    """What a model may be asked a minute; None is no limit."""

    requests: int | None = None
    tokens: int | None = None


_RATES: Final = re.compile(r"(?P<name>[^=,\s]+)=(?:(?P<requests>[1-9]\d*)r)?/?(?:(?P<tokens>[1-9]\d*)t)?")


def parse_limits(text: str) -> dict[str, Rates]:
    """`openai=500r/200000t,anthropic:claude-haiku-4-5=50r` by name; ValueError with the expected form otherwise."""
    limits = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _RATES.fullmatch(part)
        name = match["name"] if match else ""
        if not match or name.partition(":")[0] not in PROVIDERS or not (match["requests"] or match["tokens"]):
            raise ValueError(f"{part!r}: write it as openai=500r/200000t or openai:<model>=100r, several with commas")
        limits[name] = Rates(*(int(match[kind]) if match[kind] else None for kind in ("requests", "tokens")))
    return limits


class OwnPrice(NamedTuple):
    """What a model costs by your own contract, in USD per million tokens of input and of output."""

    input: Decimal
    output: Decimal


_USD: Final = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"  # so few digits that every cost stays exact
_PRICE: Final = re.compile(rf"(?P<name>[^=,\s]+)=(?P<input>{_USD})/(?P<output>{_USD})")


def parse_prices(text: str) -> dict[str, OwnPrice]:
    """`openai:my-model=0.10/0.40,local=0/0` by name; ValueError with the expected form otherwise.

    A provider's name alone holds for all of its models that have no entry of their own.
    """
    prices = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _PRICE.fullmatch(part)
        provider, colon, model = match["name"].partition(":") if match else ("", "", "")
        if not match or provider not in PROVIDERS or (colon and not model):
            raise ValueError(
                f"{part!r}: write it as openai:<model>=0.10/0.40 or openai=0.10/0.40, USD per million input and output"
                " tokens with at most 6 decimals, several with commas"
            )
        prices[match["name"]] = OwnPrice(Decimal(match["input"]), Decimal(match["output"]))
    return prices
