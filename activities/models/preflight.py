"""What a call can use and cost at most, worked out before it goes out: no money is spent on what cannot succeed."""

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from pydantic import BaseModel

from activities.guards.budgets import Budget
from activities.models.prices import Prices
from activities.models.prompts import Prompt
from activities.models.providers import ModelCall
from activities.models.tokens import most_input_tokens, most_tokens
from engross.contracts import AskRequest, ModelRef
from engross.errors import CallTooDear, ContextTooLong, PriceUnknown

_FREE: Final = Decimal(0)
# Estimates can be four times too high, for vocabularies that are not public.
_MARGIN: Final = 4
# Characters. Counting so many takes a few milliseconds, of blanks 14; more of them get a thread.
_SHORT: Final = 20_000


@dataclass(frozen=True)
class Caps:
    """What people allow, in US dollars; None is no cap. `tenants` each a month, `day` everybody together a day."""

    call_usd: Decimal | None = None
    tenant_usd: Decimal | None = None
    day_usd: Decimal | None = None


@dataclass(frozen=True)
class Estimate:
    """Of one call, at most: tokens of request and reply together, their price, and who pays it."""

    tokens: int
    most_usd: Decimal
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class Preflight:
    """Holds a call against windows, prices and caps."""

    prices: Prices
    caps: Caps = Caps()

    async def estimate(self, request: AskRequest, call: ModelCall) -> Estimate:
        """Raises `ContextTooLong`, `PriceUnknown` or `CallTooDear`, each with the fix."""
        model = request.model
        input_tokens = await _most_tokens_of(call.prompt, model) + _schema_tokens(call.output, model)
        self._check_window(model, input_tokens)
        budgets = self.budgets(request)
        most = self.prices.worst_case(model, input_tokens=input_tokens, output_tokens=call.max_output_tokens)
        if most is None:
            self._check_no_cap(model, budgets)
        elif self.caps.call_usd is not None and most > self.caps.call_usd:
            raise CallTooDear(
                f"this call may cost ${most.normalize():f} at {model}, more than ENGROSS_CALL_CEILING_USD"
                f" ({self.caps.call_usd}): raise it, or use a cheaper model or a smaller max_output_tokens"
            )
        return Estimate(
            tokens=input_tokens + call.max_output_tokens,
            most_usd=most or _FREE,
            budgets=budgets if most else (),
        )

    def _check_window(self, model: ModelRef, input_tokens: int) -> None:
        window = self.prices.window(model)
        # What is near the window is the provider's to judge.
        if window is not None and input_tokens > _MARGIN * window:
            raise ContextTooLong(
                f"the document has about {input_tokens:,} tokens, and {model} reads {window:,}: add a model with a"
                " larger window to the route"
            )

    def _check_no_cap(self, model: ModelRef, budgets: tuple[Budget, ...]) -> None:
        capped = self.caps.call_usd is not None or any(budget.limit_usd is not None for budget in budgets)
        if capped:
            raise PriceUnknown(
                f"the price of {model} is unknown, so no budget can hold it: set ENGROSS_PRICES={model}=INPUT/OUTPUT in"
                " USD per million tokens"
            )

    def budgets(self, request: AskRequest) -> tuple[Budget, ...]:
        """The budgets that a call of this request comes from."""
        tenant = Budget("tenant", request.text.tenant, self.caps.tenant_usd)
        day = Budget("day", "", self.caps.day_usd)
        if request.budget is None:
            return (tenant, day)
        return (Budget("run", request.budget.account, request.budget.limit_usd), tenant, day)


async def _most_tokens_of(prompt: Prompt, asked: ModelRef) -> int:
    texts = (prompt.system, prompt.user)
    if sum(map(len, texts)) <= _SHORT:
        return most_input_tokens(texts, asked=asked)
    return await asyncio.to_thread(most_input_tokens, texts, asked=asked)


@lru_cache(maxsize=512)  # more than the steps of all jobs of an installation, each by all models of its route
def _schema_tokens(output: type[BaseModel], asked: ModelRef) -> int:
    return most_tokens(json.dumps(output.model_json_schema()), asked=asked)
