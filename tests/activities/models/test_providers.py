"""Each way a call can end, over both wires, through the real SDKs: one call, and a name for it."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from activities.models.prompts import build_prompt
from activities.models.providers import ModelCall, OpenAIProvider, Provider
from activities.models.replies import RawReply
from engross.contracts import ReplyStatus
from engross.errors import EngrossError, RateLimited
from tests.activities.models.conftest import StandIn

DOCUMENT = "Corner Shop Ltd\nSlip number: 77-A\nTotal: 12.50 EUR\nPATIENT JANE DOE"


class Slip(BaseModel):
    slip_number: str = Field(description="Labelled: Slip number.")
    total: float = Field(description="Labelled: Total.")


def call(limit: int = 500) -> ModelCall:
    return ModelCall(
        model="stand-in",
        prompt=build_prompt("Read the slip.", DOCUMENT),
        output=Slip,
        max_output_tokens=limit,
        temperature=0.0,
    )


async def failure(provider: Provider) -> EngrossError:
    with pytest.raises(EngrossError) as caught:
        await provider.call(call())
    assert "JANE" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def test_an_answer_comes_with_its_usage(provider: Provider) -> None:
    reply = await provider.call(call())
    assert Slip.model_validate_json(reply.text) == Slip(slip_number="77-A", total=12.5)
    assert (reply.status, reply.model) == (None, "stand-in")
    assert reply.usage is not None
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        ({"kind": "rate_limit", "retry_after": "7"}, "RateLimited", True),
        ({"kind": "quota"}, "QuotaExhausted", False),
        ({"kind": "error", "status": 500}, "ProviderOverloaded", True),
        ({"kind": "error", "status": 503, "html": True}, "ProviderOverloaded", True),
        ({"kind": "error", "status": 529}, "ProviderOverloaded", True),
        ({"kind": "auth", "status": 401}, "AuthenticationFailed", False),
        ({"kind": "auth", "status": 402}, "QuotaExhausted", False),
        ({"kind": "auth", "status": 403}, "AuthenticationFailed", False),
        ({"kind": "timeout", "seconds": 30}, "ProviderTimeout", True),
        ({"kind": "reset"}, "ProviderUnreachable", True),
        ({"kind": "reset_body"}, "ProviderUnreachable", True),
        ({"kind": "context_too_long"}, "ContextTooLong", False),
        ({"kind": "html"}, "ProviderGarbled", True),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_trouble_has_one_name_and_takes_one_call(
    provider: Provider, stand_in: StandIn, fault: dict[str, Any], kind: str, retryable: bool
) -> None:
    if kind == "QuotaExhausted" and "quota" in fault["kind"] and not isinstance(provider, OpenAIProvider):
        kind, retryable = "RateLimited", True  # Anthropic has no such code: its 429 is a 429
    await stand_in.script(fault)
    error = await failure(provider)
    assert (error.type, error.retryable) == (kind, retryable)
    assert len(await stand_in.calls()) == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("soon", None), ("-3", None), ("86400", 3600.0)]
)
async def test_retry_after_is_read_and_clamped(
    provider: Provider, stand_in: StandIn, header: str, seconds: float | None
) -> None:
    await stand_in.script({"kind": "rate_limit", "retry_after": header})
    error = await failure(provider)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "truncate"}, ReplyStatus.TRUNCATED),
        ({"kind": "refuse"}, ReplyStatus.REFUSED),
        ({"kind": "empty"}, ReplyStatus.EMPTY),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
async def test_a_reply_is_a_value_whatever_it_says(
    provider: Provider, stand_in: StandIn, fault: dict[str, Any], status: ReplyStatus
) -> None:
    await stand_in.script(fault)
    reply: RawReply = await provider.call(call())
    assert reply.status is status
    assert reply.usage is not None
    assert len(await stand_in.calls()) == 1


async def test_the_content_filter_is_known_by_its_finish_reason(stand_in: StandIn) -> None:
    provider = OpenAIProvider(api_key="k", base_url=f"{stand_in.address}/v1", seconds=5)
    await stand_in.script({"kind": "filter"})
    assert (await provider.call(call())).status is ReplyStatus.FILTERED
    await provider.close()


@pytest.mark.parametrize("kind", ["malformed", "invalid"])
async def test_a_broken_answer_is_one_call_and_still_a_reply(provider: Provider, stand_in: StandIn, kind: str) -> None:
    await stand_in.script({"kind": kind})
    reply = await provider.call(call())
    with pytest.raises(ValueError, match=r"."):
        Slip.model_validate_json(reply.text)
    assert reply.usage is not None
    assert len(await stand_in.calls()) == 1


async def test_a_limit_too_small_is_a_truncation(provider: Provider) -> None:
    assert (await provider.call(call(limit=3))).status is ReplyStatus.TRUNCATED
