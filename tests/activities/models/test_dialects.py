"""OpenAI-compatible servers that understand less: each is asked in a simpler way, once, and remembered."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from activities.models.openai_wire import OpenAIProvider
from engross.errors import InvalidRequest
from tests.activities.models.test_providers import call

ANSWER = json.dumps({"slip_number": "77-A", "total": 12.5})


class PlainServer:
    """Complains as `complain(request body)` says, else answers with the content given, without tools."""

    def __init__(
        self, complain: Callable[[dict[str, Any]], str | None], content: str = ANSWER, status: int = 400
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self._complain = complain
        self._content = content
        self._status = status

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        complaint = self._complain(body)
        if complaint:
            return web.json_response({"error": {"message": complaint}}, status=self._status)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self._content}}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "plain", "choices": [choice]}
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        return web.json_response({**reply, "usage": usage})


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[PlainServer], Any]]:
    closing: list[Callable[[], Any]] = []

    async def start(server: PlainServer) -> OpenAIProvider:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider = OpenAIProvider(api_key="none", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", seconds=5)
        closing.extend([provider.close, runner.cleanup])
        return provider

    yield start
    for close in closing:
        await close()


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_a_server_without_tools_is_asked_in_json_mode_and_remembered(serve: Any, status: int) -> None:
    server = PlainServer(lambda body: "tools param requires --jinja flag" if "tools" in body else None, status=status)
    provider = await serve(server)
    assert [(await provider.call(call())).text for _ in range(2)] == [ANSWER, ANSWER]
    assert ["tools" in body for body in server.requests] == [True, False, False]


async def test_a_server_without_json_mode_is_asked_in_words(serve: Any) -> None:
    def complain(body: dict[str, Any]) -> str | None:
        return next((f"{key} is not supported" for key in ("tools", "response_format") if key in body), None)

    server = PlainServer(complain, content=f"Here you are:\n```json\n{ANSWER}\n```")
    provider = await serve(server)
    assert (await provider.call(call())).text == ANSWER
    assert len(server.requests) == 3


async def test_a_server_that_ignores_tools_is_believed_and_asked_in_json_mode_next(serve: Any) -> None:
    server = PlainServer(lambda body: None)
    provider = await serve(server)
    assert [(await provider.call(call())).text for _ in range(2)] == [ANSWER, ANSWER]
    assert ["tools" in body for body in server.requests] == [True, False]


async def test_a_new_name_for_the_limit_and_a_fixed_temperature_are_learned(serve: Any) -> None:
    def complain(body: dict[str, Any]) -> str | None:
        if "max_tokens" in body:
            return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return "'temperature' does not support 0 with this model" if "temperature" in body else None

    server = PlainServer(complain)
    provider = await serve(server)
    await provider.call(call())
    assert "max_completion_tokens" in server.requests[-1]
    assert "temperature" not in server.requests[-1]


async def test_other_complaints_end_the_call(serve: Any) -> None:
    server = PlainServer(lambda body: "no")
    provider = await serve(server)
    with pytest.raises(InvalidRequest, match="HTTP 400"):
        await provider.call(call())
    assert len(server.requests) == 1


async def test_a_document_too_long_is_not_mistaken_for_a_server_without_tools(serve: Any) -> None:
    server = PlainServer(lambda body: "maximum context length is 8192 tokens (9000 in the functions)")
    provider = await serve(server)
    for _ in range(2):
        with pytest.raises(Exception, match="larger"):
            await provider.call(call())
    assert all("tools" in body for body in server.requests)
