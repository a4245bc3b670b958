"""Both wires as the real SDKs see them, with and without instructor."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import instructor
import openai
import pytest
from instructor import Mode
from instructor.core import IncompleteOutputException
from pydantic import BaseModel, Field

from workers.local.standin import server
from workers.local.standin.wires import Answer

PARTS = "Part number: PX-77  Price: 12.50 EUR"
FENCED = f"Read it.\n<document-00ff>\n{PARTS}\n</document-00ff>"


class Part(BaseModel):
    part_number: str = Field(description="Number of the part.")
    price: float = Field(description="Price of the part.")


Create = Callable[..., Awaitable[tuple[Part, Any]]]


def messages(user: str = FENCED) -> list[Any]:
    return [{"role": "user", "content": user}]


def with_openai(client: openai.AsyncOpenAI, mode: Mode = Mode.TOOLS) -> Create:
    patched = instructor.from_openai(client, mode=mode)

    async def create(**more: Any) -> tuple[Part, Any]:
        asked = {"model": "m", "messages": messages(), "response_model": Part, "max_retries": 0, **more}
        return await patched.chat.completions.create_with_completion(**asked)

    return create


def with_anthropic(client: anthropic.AsyncAnthropic, mode: Mode = Mode.TOOLS) -> Create:
    patched = instructor.from_anthropic(client, mode=mode)

    async def create(**more: Any) -> tuple[Part, Any]:
        asked = {"model": "m", "max_tokens": 500, "messages": messages(), "response_model": Part, "max_retries": 0}
        return await patched.messages.create_with_completion(**{**asked, **more})

    return create


@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON, Mode.JSON_SCHEMA, Mode.MD_JSON])
async def test_openai_answers_in_every_mode(openai_client: openai.AsyncOpenAI, mode: Mode) -> None:
    part, raw = await with_openai(openai_client, mode)()

    assert part.model_dump() == {"part_number": "PX-77", "price": 12.5}
    assert raw.model == "stand-in"
    assert raw.choices[0].finish_reason == "stop"
    assert bool(raw.choices[0].message.tool_calls) is (mode is Mode.TOOLS)
    assert raw.usage.total_tokens == raw.usage.prompt_tokens + raw.usage.completion_tokens > 20


@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON])
async def test_anthropic_answers_in_every_mode(anthropic_client: anthropic.AsyncAnthropic, mode: Mode) -> None:
    part, raw = await with_anthropic(anthropic_client, mode)()

    assert part.model_dump() == {"part_number": "PX-77", "price": 12.5}
    assert raw.model == "stand-in"
    assert raw.stop_reason == ("tool_use" if mode is Mode.TOOLS else "end_turn")
    assert raw.usage.input_tokens > raw.usage.output_tokens > 5


async def test_a_tool_that_the_model_chooses_ends_with_tool_calls(openai_client: openai.AsyncOpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "Part", "parameters": Part.model_json_schema()}}
    raw = await openai_client.chat.completions.create(model="m", messages=messages(), tools=[tool])
    assert raw.choices[0].finish_reason == "tool_calls"

    none = await openai_client.chat.completions.create(model="m", messages=messages(), tools=[tool], tool_choice="none")
    assert none.choices[0].message.tool_calls is None


async def test_plain_text_comes_from_the_document(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    text = "The boiler was checked in May. The boiler needs a new valve before the winter starts."
    one = await openai_client.chat.completions.create(model="m", messages=messages(text))
    other = await anthropic_client.messages.create(model="m", max_tokens=100, messages=messages(text))

    assert one.choices[0].message.content == text
    assert [block.text for block in other.content if block.type == "text"] == [text]


async def test_the_same_request_costs_the_same(openai_client: openai.AsyncOpenAI) -> None:
    first, second = [(await with_openai(openai_client)())[1] for _ in range(2)]
    assert first.usage == second.usage
    assert first.id != second.id


async def test_an_answer_longer_than_allowed_is_cut(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    for create, limit in (
        (with_openai(openai_client), {"max_tokens": 3}),
        (with_openai(openai_client), {"max_completion_tokens": 3}),
        (with_anthropic(anthropic_client), {"max_tokens": 3}),
    ):
        with pytest.raises(IncompleteOutputException) as cut:
            await create(**limit)
        last: Any = cut.value.last_completion
        usage = last.usage
        assert 3 in (getattr(usage, "completion_tokens", None), getattr(usage, "output_tokens", None))


async def test_other_calls_go_on_while_the_rules_read(
    standin: Any, openai_client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, done = threading.Event(), threading.Event()

    def read_on(_: Any) -> Answer:
        reading.set()
        done.wait(30)
        return Answer("read")

    monkeypatch.setattr(server, "respond", read_on)
    call = asyncio.create_task(openai_client.chat.completions.create(model="m", messages=messages()))
    assert await asyncio.to_thread(reading.wait, 30)
    assert (await standin.http.get("/health")).status_code == 200
    done.set()
    assert (await call).choices[0].message.content == "read"


async def test_a_wrong_key_is_refused(standin: Any) -> None:
    async with openai.AsyncOpenAI(base_url=f"{standin.url}/v1", api_key="sk-wrong-1", max_retries=0) as one:
        with pytest.raises(openai.AuthenticationError) as refused:
            await one.chat.completions.create(model="m", messages=messages())
        assert refused.value.code == "invalid_api_key"
    async with anthropic.AsyncAnthropic(base_url=standin.url, api_key="sk-wrong-1", max_retries=0) as other:
        with pytest.raises(anthropic.AuthenticationError, match="authentication_error"):
            await other.messages.create(model="m", max_tokens=9, messages=messages())
    assert await standin.calls() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", "{broken"),
        ("/v1/chat/completions", "[]"),
        ("/v1/chat/completions", '{"messages": [{"role": "user", "content": "x"}]}'),
        ("/v1/chat/completions", '{"model": "m", "messages": []}'),
        ("/v1/chat/completions", '{"model": "m", "messages": [{"role": "user"}], "tools": [{"name": "x"}]}'),
        ("/v1/chat/completions", '{"model": "m", "messages": [{"role": "user"}], "max_tokens": 0}'),
        ("/v1/messages", '{"model": "m", "messages": [{"role": "user", "content": "x"}]}'),
        ("/v1/messages", '{"model": "m", "max_tokens": 5, "messages": [{"role": "user"}], "tools": [1]}'),
    ],
)
async def test_a_bad_body_is_a_400_of_the_protocol(standin: Any, path: str, body: str) -> None:
    answer = await standin.http.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert (answer.json().get("type") == "error") is (path == "/v1/messages")


async def test_unknown_paths_models_and_health(
    standin: Any, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.NotFoundError):
        await openai_client.embeddings.create(model="m", input="x")
    with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
        await anthropic_client.messages.count_tokens(model="m", messages=messages())
    assert [model.id async for model in openai_client.models.list()] == ["stand-in"]
    assert [model.id async for model in anthropic_client.models.list()] == ["stand-in"]
    assert (await standin.http.get("/health")).json()["status"] == "ok"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_where_it_is_and_stops_cleanly(number: signal.Signals) -> None:
    process = await _start("--port", "0")
    assert process.stderr is not None
    line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    assert "http://127.0.0.1:" in line
    port = int(line.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readline()
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert await process.stderr.read() == b""
    writer.close()


async def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await _start("--port", port)
        _, error = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert port.encode() in error
    assert b"Traceback" not in error


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "workers.local.standin", *arguments)
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=dict(os.environ))
