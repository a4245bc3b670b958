"""What a call brings, over both wires, through the real SDKs. `test_failure_table` has the ways it can fail."""

import asyncio
import time
from typing import Any

import pytest
from pydantic import BaseModel, Field

from activities.models.anthropic_wire import AnthropicProvider
from activities.models.openai_wire import OpenAIProvider
from activities.models.prompts import build_prompt
from activities.models.providers import ModelCall, Provider
from engross.contracts import ReplyStatus, Usage
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


async def test_an_answer_comes_with_its_usage(provider: Provider) -> None:
    reply = await provider.call(call())
    assert Slip.model_validate_json(reply.text) == Slip(slip_number="77-A", total=12.5)
    assert (reply.status, reply.model) == (None, "stand-in")
    assert reply.usage is not None
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_a_limit_too_small_is_a_truncation(provider: Provider) -> None:
    assert (await provider.call(call(limit=3))).status is ReplyStatus.TRUNCATED


@pytest.mark.parametrize("kind", ["truncate", "refuse", "empty", "malformed", "invalid", "two_calls"])
async def test_a_reply_that_is_no_answer_was_paid_for_too(provider: Provider, stand_in: StandIn, kind: str) -> None:
    await stand_in.script({"kind": kind})
    assert (await provider.call(call())).usage is not None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"input_tokens": None, "output_tokens": None}, None),
        ({"input_tokens": 7}, None),
        ({"input_tokens": -7, "output_tokens": 2}, None),
        ({"input_tokens": 7, "output_tokens": -2}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": 10**12, "output_tokens": 2}, None),
        ({"input_tokens": 7, "output_tokens": 10**30}, None),
        ({"input_tokens": "many", "output_tokens": []}, None),
        ({"input_tokens": 7, "output_tokens": 0}, Usage(input_tokens=7)),
        (
            {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": None, "prompt_tokens_details": None},
            Usage(input_tokens=7, output_tokens=2),
        ),
        (
            {"input_tokens": 7, "output_tokens": 2, "prompt_tokens_details": {"cached_tokens": -4}},
            Usage(input_tokens=7, output_tokens=2),
        ),
    ],
    ids=str,
)
async def test_usage_that_cannot_be_is_unknown(
    provider: Provider, stand_in: StandIn, usage: dict[str, Any] | None, expected: Usage | None
) -> None:
    await stand_in.script({"kind": "usage", "usage": usage})
    reply = await provider.call(call())
    assert (reply.status, reply.usage) == (None, expected)


async def test_cached_tokens_are_part_of_the_input(provider: Provider, stand_in: StandIn) -> None:
    usage: dict[str, Any] = {"input_tokens": 100, "output_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}}
    if isinstance(provider, AnthropicProvider):
        usage |= {"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10}
    await stand_in.script({"kind": "usage", "usage": usage})
    assert (await provider.call(call())).usage == Usage(input_tokens=100, output_tokens=5, cached_tokens=60)


async def test_a_reply_says_which_model_gave_it(provider: Provider, stand_in: StandIn) -> None:
    await stand_in.script({"kind": "model", "text": "smaller-and-cheaper"})
    assert (await provider.call(call())).model == "smaller-and-cheaper"


@pytest.mark.parametrize("kind", ["slow_headers", "drip", "stall"])
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_a_cancelled_call_closes_its_connection(stand_in: StandIn, wire: str, kind: str) -> None:
    provider: Provider = (
        OpenAIProvider(api_key="k", base_url=f"{stand_in.address}/v1", seconds=60)
        if wire == "openai"
        else AnthropicProvider(api_key="k", base_url=stand_in.address, seconds=60)
    )
    await stand_in.script({"kind": kind, "seconds": 60 if kind == "slow_headers" else 0.05})
    calling = asyncio.create_task(provider.call(call()))
    deadline = time.monotonic() + 30
    while not await stand_in.calls():
        assert time.monotonic() < deadline
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    while not (await stand_in.calls())[0]["hung_up"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await provider.close()
