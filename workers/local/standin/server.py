"""The HTTP side: two model endpoints, and `/control` to script faults and see the calls."""

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from .ask import MODEL, Answer, Ask, respond
from .faults import Fault, FaultQueue, failure_of, spoil
from .wires import ANTHROPIC, OPENAI, BadRequest, Wire

_MAX_BODY = 64 * 1024 * 1024
_CALLS_KEPT = 20_000
_WRONG_KEY = "sk-wrong"
_HTML = "<html><body><h1>Service trouble</h1></body></html>"
_FAULTS = TypeAdapter(list[Fault])
_SECONDS = TypeAdapter(float)


@dataclass
class State:
    """What the control endpoints change and show. `latency` is in seconds."""

    faults: FaultQueue = field(default_factory=FaultQueue)
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    count: int = 0
    latency: float = 0.0

    def record(self, request: web.Request, raw: bytes, ask: Ask, fault: Fault | None, reply: Answer | None) -> None:
        """Remember a call by what it cost, never by what it said."""
        self.count += 1
        self.calls.append(
            {
                "n": self.count,
                "path": request.path,
                "model": json.loads(raw)["model"],
                "fault": fault.kind if fault else None,
                "input_tokens": ask.input_tokens,
                "output_tokens": reply.output_tokens if reply else 0,
                "tool": ask.tool,
                "sha256": hashlib.sha256(raw).hexdigest(),
                "at": time.time(),
            }
        )


STATE = web.AppKey("state", State)


def make_app() -> web.Application:
    """A fresh stand-in, without faults or calls."""
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[_unknown_path])
    app[STATE] = State()
    app.router.add_post("/v1/chat/completions", _handler(OPENAI))
    app.router.add_post("/v1/messages", _handler(ANTHROPIC))
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/health", _health)
    app.router.add_post("/control/faults", _add_faults)
    app.router.add_get("/control/calls", _calls)
    app.router.add_post("/control/reset", _reset)
    app.router.add_post("/control/latency", _latency)
    return app


def _handler(wire: Wire) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def model_call(request: web.Request) -> web.StreamResponse:
        if _key(request).startswith(_WRONG_KEY):
            return web.json_response(wire.failure(401, "Incorrect API key provided", "invalid_api_key"), status=401)
        raw = await request.read()
        try:
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise BadRequest("the body must be a JSON object")
            ask = wire.ask(body)
        except (BadRequest, ValueError) as error:
            return web.json_response(wire.failure(400, str(error), None), status=400)
        state = request.app[STATE]
        fault = state.faults.take(ask.document)
        failure = failure_of(fault) if fault else None
        reply = None if failure else spoil(fault, respond(ask), ask)
        state.record(request, raw, ask, fault, reply)
        await asyncio.sleep(state.latency + (fault.seconds if fault and fault.kind in ("timeout", "slow") else 0))
        if fault and failure:
            return _failed(wire, fault, *failure)
        sent = web.json_response(wire.reply(reply, ask)) if reply else web.Response(status=500)
        return await _transport(request, fault, sent)

    return model_call


def _key(request: web.Request) -> str:
    return request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")


def _failed(wire: Wire, fault: Fault, status: int, message: str, code: str | None) -> web.Response:
    wanted = {"Retry-After": fault.retry_after, "Retry-After-Ms": fault.retry_after_ms}
    headers = {name: value for name, value in wanted.items() if value is not None}
    if fault.html:
        return web.Response(status=status, text=_HTML, content_type="text/html", headers=headers)
    return web.json_response(wire.failure(status, message, code), status=status, headers=headers)


async def _transport(request: web.Request, fault: Fault | None, reply: web.Response) -> web.StreamResponse:
    match fault.kind if fault else "slow":
        case "html":
            return web.Response(text=_HTML, content_type="text/html")
        case "reset":
            _abort(request)
        case "reset_body":
            whole = reply.body if isinstance(reply.body, bytes) else b"{"
            cut = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
            await cut.prepare(request)
            await cut.write(whole[: len(whole) // 2])
            _abort(request)
            return cut
    return reply


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@web.middleware
async def _unknown_path(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed, web.HTTPRequestEntityTooLarge) as error:
        wire = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        return web.json_response(wire.failure(error.status, error.reason, None), status=error.status)


async def _models(_: web.Request) -> web.Response:
    # One shape for both protocols: each SDK reads its own fields.
    created = "2025-01-01T00:00:00Z"
    model = {"id": MODEL, "object": "model", "created": 1735689600, "owned_by": "engross"}
    model |= {"type": "model", "display_name": "Stand-in", "created_at": created}
    page = {"object": "list", "data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL}
    return web.json_response(page)


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "model": MODEL})


async def _add_faults(request: web.Request) -> web.Response:
    try:
        faults = _FAULTS.validate_python((await request.json())["faults"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        return web.json_response({"error": f"not a list of faults: {error}"}, status=400)
    return web.json_response({"waiting": request.app[STATE].faults.add(faults)})


async def _calls(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return web.json_response({"count": state.count, "calls": list(state.calls)})


async def _reset(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.faults.clear()
    state.calls.clear()
    state.count, state.latency = 0, 0.0
    return web.json_response({"status": "ok"})


async def _latency(request: web.Request) -> web.Response:
    try:
        seconds = _SECONDS.validate_python((await request.json())["seconds"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        return web.json_response({"error": f"not a number of seconds: {error}"}, status=400)
    request.app[STATE].latency = max(0.0, seconds)
    return web.json_response({"seconds": request.app[STATE].latency})
