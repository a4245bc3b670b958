"""The local model: a small real one behind OpenAI's protocol, one request at a time, as a process of the stack.

`python -m workers.local.local_model --port N --folder F`, with the extra `local-model`. docs/adr/0015 says why this is
not the server that llama-cpp-python brings.
"""

import argparse
import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web
from pydantic import ValidationError

from engross.settings import LOCAL_MODEL
from workers.local.llama import Completion, Llama, Request, TooLong, weights
from workers.local.ports import HOST

_MAX_BODY: Final = 64 * 1024 * 1024
_GRACE_SECONDS: Final = 1.0


class Engine(Protocol):
    """Completes one request; blocks. `stopped` is asked between tokens. Raises `TooLong`."""

    def complete(self, request: Request, stopped: Callable[[], bool]) -> Completion: ...


class Server:
    """The HTTP side. Requests wait for their turn; one whose caller hangs up ends, so that it holds up nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one = ThreadPoolExecutor(max_workers=1)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": LOCAL_MODEL, "object": "model"}]})

    async def _chat(self, http: web.Request) -> web.Response:
        try:
            request = Request.model_validate_json(await http.read())
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, problem["loc"])) or "body" for problem in error.errors())
            return _failure(400, f"wrong or missing: {fields}", "invalid_request")
        if request.model != LOCAL_MODEL:
            return _failure(404, f"the one model here is {LOCAL_MODEL}", "model_not_found")
        stop = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            completion = await loop.run_in_executor(self._one, self._engine.complete, request, stop.is_set)
        except TooLong as error:
            return _failure(400, str(error), "context_length_exceeded")
        finally:
            stop.set()
        return web.json_response(_reply(request, completion))


def _failure(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


def _reply(request: Request, completion: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text}
    if request.tool:
        function = {"name": request.tool.name, "arguments": completion.text}
        call = {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
    # A cut tool call says so: closed by code it could pass for a whole answer.
    reason = "length" if completion.is_cut else "tool_calls" if request.tool else "stop"
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": LOCAL_MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": completion.input_tokens,
            "completion_tokens": completion.output_tokens,
            "total_tokens": completion.input_tokens + completion.output_tokens,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser("local_model", description="A small model behind OpenAI's protocol.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="Where the weights are kept, 250 MB")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    server = Server(Llama(weights(options.folder)))
    web.run_app(
        server.application(),
        host=HOST,
        port=options.port,
        print=None,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
