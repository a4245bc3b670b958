"""What a model call cost, and at most can cost, in exact decimals of US dollars; how much a model can read.

Own prices go first, then genai-prices' list. A price that isn't known is None, never zero.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

from engross.contracts import ModelRef, Usage
from engross.names import LOCAL
from engross.routes import OwnPrice

_STAND_IN: Final = "stand-in"
# No model reads or writes nearly as much in one call: a reply that says so counts wrongly.
_MOST_TOKENS: Final = 100_000_000
# A reply may name any model; longer names than this aren't looked up, nor kept in memory.
_LONGEST_NAME: Final = 200

# `-2025-04-14`, `-20250414`, `@20250414`, month and day `-0613`, year and month `-2507`, `-latest`, `:latest`
_DATE: Final = re.compile(
    r"(?:[-@](?P<date>20\d{2}-?[01]\d-?[0-3]\d|(?:0[1-9]|1[0-2])[0-3]\d|2\d(?:0[1-9]|1[0-2]))|[-:]latest)\Z", re.ASCII
)


@dataclass(frozen=True)
class _Tariff:
    """USD per million tokens of input, of input from and into the cache, and of output; `request` is USD per call."""

    input: Decimal | TieredPrices
    cached: Decimal | TieredPrices
    written: Decimal | TieredPrices
    output: Decimal | TieredPrices
    request: Decimal = Decimal(0)

    @property
    def is_free(self) -> bool:
        return not any((self.input, self.cached, self.written, self.output, self.request))

    def cost(self, usage: Usage) -> Decimal:
        plain, long = usage.input_tokens - usage.cached_tokens, usage.input_tokens
        millionths = (
            _rate(self.input, long) * plain
            + _rate(self.cached, long) * usage.cached_tokens
            + _rate(self.output, long) * usage.output_tokens
        )
        return self.request + millionths.scaleb(-6)

    def most(self, input_tokens: int, output_tokens: int) -> Decimal:
        read = max(_highest(price, input_tokens) for price in (self.input, self.cached, self.written))
        written = _highest(self.output, input_tokens)
        return self.request + (read * input_tokens + written * output_tokens).scaleb(-6)


_FREE: Final = _Tariff(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def _now() -> datetime:
    return datetime.now(UTC)


class Prices:
    """`own` prices by `provider:model` or by provider, which is for its models without one of their own."""

    def __init__(self, own: Mapping[str, OwnPrice], *, now: Callable[[], datetime] = _now) -> None:
        self._own = {name.lower(): _own_tariff(price) for name, price in own.items()}
        self._now = now

    def cost(self, asked: ModelRef, usage: Usage | None, answered_by: str) -> Decimal | None:
        """What a call cost; None when the price is unknown, or the usage is missing or impossible (providers can lie).

        What is free costs zero whatever its usage. A reply of another model than `asked` costs the dearer of both
        prices, and is unknown when one of them is; an empty `answered_by` names no other model.
        """
        answered_by = answered_by or asked.model
        costs = [self._cost(asked.provider, model, usage) for model in (asked.model, answered_by)]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs) or same_model(asked.model, answered_by):
            return max(known, default=None)
        return None

    def worst_case(self, asked: ModelRef, *, input_tokens: int, output_tokens: int) -> Decimal | None:
        """The most that a call within these tokens can cost, now or later: at least `cost` of any usage within them.

        Nothing is served from a cache but all may be written to it (for five minutes: nobody asks for an hour), and
        the dearest tier and hour that these tokens can meet holds. None when the price is unknown.
        """
        tariffs = self._tariffs(asked.provider, asked.model)
        known = [tariff.most(input_tokens, output_tokens) for tariff in tariffs if tariff is not None]
        return max(known) if known and len(known) == len(tariffs) else None

    def window(self, asked: ModelRef) -> int | None:
        """The context window of `asked` in tokens; None when unknown."""
        info = _listed(asked.provider, asked.model)
        return info.context_window if info else None

    def _cost(self, provider: str, model: str, usage: Usage | None) -> Decimal | None:
        tariffs = self._tariffs(provider, model)
        tariff = tariffs[0] if tariffs else None
        if tariff is not None and tariff.is_free:
            return Decimal(0)
        return None if tariff is None or usage is None or not _is_possible(usage) else tariff.cost(usage)

    def _tariffs(self, provider: str, model: str) -> list[_Tariff | None]:
        """The tariff that holds now, then those that can hold later; empty when there is none."""
        own = self._own.get(f"{provider}:{model}".lower()) or self._own.get(f"{provider}:{_undated(model)}")
        if own is None and model == _STAND_IN:  # nobody bills for it, whoever it stands in for
            own = _FREE
        own = own or self._own.get(provider) or (_FREE if provider == LOCAL else None)
        if own is not None:
            return [own]
        info = _listed(provider, model)
        return [_listed_tariff(price) for price in _prices_from(info, self._now())] if info else []


def same_model(asked: str, answered: str) -> bool:
    """Whether two names mean one model: one may have a date or the name of who serves it, `openai/`, before it."""
    dates = [_date(name) for name in (asked, answered)]
    return _undated(asked) == _undated(answered) and (dates[0] == dates[1] or not all(dates))


def _undated(model: str) -> str:
    return _DATE.sub("", model.lower().rpartition("/")[2])


def _date(model: str) -> str:
    found = _DATE.search(model.lower())
    return (found["date"] or "").replace("-", "") if found else ""


def _is_possible(usage: Usage) -> bool:
    # Every call has input: servers that don't count fill in zeros.
    return (
        0 < usage.input_tokens <= _MOST_TOKENS
        and 0 <= usage.cached_tokens <= usage.input_tokens
        and 0 <= usage.output_tokens <= _MOST_TOKENS
    )


def _rate(price: Decimal | TieredPrices, input_tokens: int) -> Decimal:
    # A tier's price holds for all tokens of a call whose input is longer than the tier's start.
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if input_tokens > tier.start), price.base)


def _highest(price: Decimal | TieredPrices, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    return max([price.base, *(tier.price for tier in price.tiers if input_tokens > tier.start)])


def _own_tariff(price: OwnPrice) -> _Tariff:
    return _Tariff(price.input, price.input, price.input, price.output)


def _listed_tariff(price: ModelPrice) -> _Tariff | None:
    # The list has models without prices, which it would call free; and prices by the hour or page, which isn't ours.
    listed = vars(price).get
    plain, output = listed("input_mtok"), listed("output_mtok")
    if plain is None or output is None:
        return None
    cached, written = listed("cache_read_mtok"), listed("cache_write_mtok")
    return _Tariff(
        input=plain,
        cached=plain if cached is None else cached,
        written=plain if written is None else written,
        output=output,
        request=(listed("requests_kcount") or Decimal(0)).scaleb(-3),
    )


def _prices_from(info: ModelInfo, now: datetime) -> list[ModelPrice]:
    """The price that holds now, then every price that can hold from now on: by the hour, or announced."""
    if isinstance(info.prices, ModelPrice):
        return [info.prices]
    found = [info.get_prices(now)] if info.prices else []
    for conditional in reversed(info.prices):  # the last one whose condition is met holds
        found.append(conditional.prices)
        since = conditional.constraint
        if since is None or (isinstance(since, StartDateConstraint) and since.active(now)):
            break
    return found


def _listed(provider: str, model: str) -> ModelInfo | None:
    return _find(provider, model) if len(model) <= _LONGEST_NAME else None


@lru_cache(maxsize=1024)
def _find(provider: str, model: str) -> ModelInfo | None:
    # A miss is a walk through the provider's models. Asked without the model, the list's own cache can't grow.
    try:
        found = get_snapshot().find_provider(None, provider, None)
    except LookupError:
        return None
    names = dict.fromkeys((model, model.removeprefix(f"{provider}/")))
    infos = (found.find_model(name) for name in names)
    return next(filter(None, infos), None)
