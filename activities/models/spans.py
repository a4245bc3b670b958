"""A span for each call of a provider, by OpenTelemetry's conventions for generative AI.

Names, numbers and kinds only. No text of a prompt, a document or an answer, and no exception messages, which may quote
them. Without a tracer provider, which the worker sets up, a span is an empty object.
"""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from activities.models.accounts import Asked, account_error, account_seconds
from activities.models.providers import ModelCall, Provider
from activities.models.replies import RawReply
from engross.contracts import ReplySource
from engross.errors import EngrossError

_tracer: Final = trace.get_tracer("engross")


async def observed(
    asked: Asked, provider: Provider, call: ModelCall, cost: Callable[[RawReply], Decimal | None]
) -> RawReply:
    """`provider`'s reply to `call`, of which time, errors and price (None: unknown) are told. Raises what it does."""
    with _tracer.start_as_current_span(
        f"chat {call.model}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
    ) as span:
        if span.is_recording():
            span.set_attributes(_of_request(asked, call))
        started = time.monotonic()
        try:
            raw = await provider.call(call)
        except EngrossError as error:
            _mark(span, error.type)
            account_error(asked, error, time.monotonic() - started)
            raise
        except BaseException as error:  # cancelled, or a bug: both are told by others
            _mark(span, type(error).__name__)
            raise
        account_seconds(asked, time.monotonic() - started)
        if span.is_recording():
            span.set_attributes(_of_reply(raw, cost(raw)))
        return raw


def _mark(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)


def _of_request(asked: Asked, call: ModelCall) -> dict[str, AttributeValue]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": asked.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.request.temperature": call.temperature,
        "gen_ai.request.max_tokens": call.max_output_tokens,
        "engross.job": asked.job,
        "engross.step": asked.step,
        "engross.tenant": asked.tenant,
        "engross.source": ReplySource.CALLED.value,
    }


def _of_reply(raw: RawReply, cost_usd: Decimal | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.response.model": raw.model,
        "gen_ai.response.finish_reasons": (raw.finish_reason,),
    }
    if raw.usage is not None:
        attributes["gen_ai.usage.input_tokens"] = raw.usage.input_tokens
        attributes["gen_ai.usage.cache_read.input_tokens"] = raw.usage.cached_tokens
        attributes["gen_ai.usage.output_tokens"] = raw.usage.output_tokens
    if cost_usd is not None:
        attributes["engross.cost_usd"] = float(cost_usd)
    return attributes
