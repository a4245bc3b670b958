"""What a call cost, from genai-prices' list, in exact decimals of US dollars."""

from decimal import Decimal
from typing import Final

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from engross.contracts import ModelRef, Usage

# Nobody bills for the stand-in: its price is known, and it is nothing.
_FREE: Final = frozenset({"stand-in"})


def cost_of(model: ModelRef, usage: Usage | None) -> Decimal | None:
    """The price of a call to the model that was asked for; None when usage or price is unknown, never zero."""
    if model.model in _FREE:
        return Decimal(0)
    if usage is None:
        return None
    counted = PricedUsage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cache_read_tokens=usage.cached_tokens
    )
    try:
        return calc_price(counted, model_ref=model.model, provider_id=model.provider).total_price
    except LookupError:
        return None
