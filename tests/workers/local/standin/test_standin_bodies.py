"""Replies that are late, endless, oversized, odd or no replies at all, as they come over a bare socket."""

import gzip
import json
import time
import tracemalloc
from typing import Any

import httpx2
import pytest

from workers.local.standin.delivery import packed

SECONDS = 20.0
TOOL = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@pytest.fixture(params=["openai", "anthropic"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asked(wire: str) -> dict[str, Any]:
    tools = {
        "openai": [{"type": "function", "function": {"name": "Slip", "parameters": TOOL}}],
        "anthropic": [{"name": "Slip", "input_schema": TOOL}],
    }
    return {
        "model": "m",
        "max_tokens": 500,
        "tools": tools[wire],
        "messages": [{"role": "user", "content": "Total: 12.50 EUR"}],
    }


async def post(standin: Any, wire: str) -> httpx2.Response:
    answer: httpx2.Response = await standin.http.post(PATHS[wire], json=asked(wire), timeout=SECONDS)
    return answer


def arguments(wire: str, body: str) -> str:
    """The tool's arguments as they stand in the body."""
    if wire == "openai":
        return str(json.loads(body)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
    return body.split('"input": ', 1)[1].split('}], "stop_reason"')[0]


async def test_slow_headers_sends_nothing_for_so_long(standin: Any, wire: str) -> None:
    await standin.fault("slow_headers", seconds=0.3)
    begun = time.monotonic()
    async with standin.http.stream("POST", PATHS[wire], json=asked(wire), timeout=SECONDS) as answer:
        assert time.monotonic() - begun >= 0.3
        assert "12.5" in (await answer.aread()).decode()


async def test_drip_sends_the_whole_reply_byte_by_byte(standin: Any, wire: str) -> None:
    await standin.fault("drip", seconds=0)
    async with standin.http.stream("POST", PATHS[wire], json=asked(wire), timeout=SECONDS) as answer:
        parts = [part async for part in answer.aiter_raw()]
    assert arguments(wire, b"".join(parts).decode()) == '{"total":12.5}'
    assert len(parts) > 20  # several writes may be read at once


async def test_stall_goes_on_with_blanks_and_never_ends(standin: Any, wire: str) -> None:
    await standin.fault("stall", seconds=0.01)
    body = b""
    async with standin.http.stream("POST", PATHS[wire], json=asked(wire), timeout=SECONDS) as answer:
        async for part in answer.aiter_raw():
            body += part
            if body.endswith(b" " * 5):
                break
    assert body.endswith(b" " * 5)
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)


async def test_huge_is_a_good_reply_of_that_many_bytes(standin: Any, wire: str) -> None:
    await standin.fault("huge", bytes=3_000_001)
    answer = await post(standin, wire)
    assert (len(answer.content), answer.headers["content-length"]) == (3_000_001, "3000001")
    assert arguments(wire, answer.text) == '{"total":12.5}'


async def test_gzip_bomb_is_small_until_it_is_unpacked(standin: Any, wire: str) -> None:
    await standin.fault("gzip_bomb", bytes=3_000_001)
    async with standin.http.stream("POST", PATHS[wire], json=asked(wire), timeout=SECONDS) as answer:
        small = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert len(small) < 10_000
    unpacked = gzip.decompress(small)
    assert len(unpacked) == 3_000_001
    assert arguments(wire, unpacked.decode()) == '{"total":12.5}'


def test_a_bomb_is_built_without_holding_it_unpacked() -> None:
    tracemalloc.start()
    try:
        assert len(packed("{}", 50_000_000)) < 100_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    ['{"total":NaN}', '{"total":1e999}', '{"total":1,"total":2}', '{"total":' * 10_000 + "1" + "}" * 10_000],
    ids=["NaN", "1e999", "duplicate", "deep"],
)
async def test_json_that_no_writer_writes_goes_out_as_it_is(standin: Any, wire: str, text: str) -> None:
    await standin.fault("malformed", text=text)
    assert arguments(wire, (await post(standin, wire)).text) == text


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {"input_tokens": -5, "output_tokens": 0}}, {"input_tokens": -5, "output_tokens": 0}),
        ({"usage": {"input_tokens": None, "more": 10**30}}, {"input_tokens": None, "more": 10**30}),
    ],
    ids=["missing", "null", "negative", "absurd"],
)
async def test_usage_is_what_was_asked_for(
    standin: Any, wire: str, script: dict[str, Any], names: dict[str, Any] | None
) -> None:
    await standin.fault("usage", **script)
    body = (await post(standin, wire)).json()
    assert ("usage" in body) is bool(script)
    own = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"} if wire == "openai" else {}
    assert body.get("usage") == (names and {own.get(name, name): count for name, count in names.items()})


async def test_the_reply_names_another_model(standin: Any, wire: str) -> None:
    await standin.fault("model", text="gpt-2")
    await standin.fault("model")
    assert [(await post(standin, wire)).json()["model"] for _ in range(2)] == ["gpt-2", "another-model"]


async def test_two_calls_come_in_one_reply(standin: Any, wire: str) -> None:
    await standin.fault("two_calls")
    body = (await post(standin, wire)).json()
    calls = body["choices"][0]["message"]["tool_calls"] if wire == "openai" else body["content"]
    assert len(calls) == 2


async def test_an_empty_input_is_an_object_without_anything(standin: Any, wire: str) -> None:
    await standin.fault("empty_input")
    assert arguments(wire, (await post(standin, wire)).text) == "{}"


async def test_a_full_window_ends_the_reply_under_its_own_name(standin: Any, wire: str) -> None:
    await standin.fault("window")
    body = (await post(standin, wire)).json()
    reason = body["choices"][0]["finish_reason"] if wire == "openai" else body["stop_reason"]
    assert reason == ("length" if wire == "openai" else "model_context_window_exceeded")


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        ({"kind": "not_json"}, "text/plain", "upstream connected"),
        ({"kind": "not_json", "text": "hello"}, "text/plain", "hello"),
        ({"kind": "garbled"}, "application/json", "{}"),
    ],
)
async def test_no_reply_at_all(standin: Any, wire: str, script: dict[str, Any], kind: str, text: str) -> None:
    await standin.fault(**script)
    answer = await post(standin, wire)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0], answer.text) == (200, kind, text)
