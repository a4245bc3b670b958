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
from pydantic import BaseModel

from .faults import FAILURES, Fault
from .rules import answer, summary
from .wires import ANTHROPIC, MODEL, OPENAI, Answer, Ask, BadRequest, Wire, dump

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 64 * 1024 * 1024
_CALLS_KEPT = 20_000
_WRONG_KEY = "sk-wrong"
_HTML = "<html><body><h1>Service trouble</h1></body></html>"


class Script(BaseModel):
    """What `/control/faults` and `/control/latency` take."""

    faults: list[Fault] = []
    seconds: float = 0.0


@dataclass
class State:
    """What the control endpoints change and show. `latency` is in seconds."""

    faults: list[Fault] = field(default_factory=list)
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    count: int = 0
    latency: float = 0.0

    def take(self, document: str) -> Fault | None:
        """The next fault for a call with this document, which is then used up."""
        at = next((at for at, fault in enumerate(self.faults) if fault.match in document), None)
        return None if at is None else self.faults.pop(at)

    def record(self, ask: Ask, fault: Fault | None, reply: Answer | None, **request: Any) -> None:
        """Remember a call by what it cost, never by what it said."""
        self.count += 1
        spent = {"input_tokens": ask.input_tokens, "output_tokens": reply.output_tokens if reply else 0}
        more = {"fault": fault.kind if fault else None, "tool": ask.tool, "at": time.time()}
        self.calls.append({"n": self.count, **request, **spent, **more})


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


def respond(ask: Ask) -> Answer:
    """The rules' answer, cut when it is longer than the ask allows."""
    text = summary(ask.document) if ask.schema is None else dump(answer(ask.schema, ask.document))
    return Answer(text, ask.tool).cut(ask.max_tokens)


def _handler(wire: Wire) -> Handler:
    async def model_call(request: web.Request) -> web.StreamResponse:
        if _is_refused(request):
            return web.json_response(wire.failure(401, "Incorrect API key provided", "invalid_api_key"), status=401)
        raw = await request.read()
        try:
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise BadRequest("the body must be a JSON object")
            ask = wire.ask(body)
        except (BadRequest, ValueError, RecursionError) as error:
            return web.json_response(wire.failure(400, str(error), None), status=400)
        state = request.app[STATE]
        fault = state.take(ask.document)
        # In a thread: rules may take a while over a long document, and other calls must go on.
        reply = None if fault and fault.kind in FAILURES else await asyncio.to_thread(respond, ask)
        reply = fault.spoil(reply, ask) if fault and reply else reply
        told = {"path": request.path, "model": body["model"], "sha256": hashlib.sha256(raw).hexdigest()}
        state.record(ask, fault, reply, **told)
        await asyncio.sleep(state.latency + (fault.seconds if fault and fault.kind in ("timeout", "slow") else 0))
        if fault and reply is None:
            return _failed(wire, fault)
        return await _send(request, fault, wire.reply(reply, ask) if reply else {})

    return model_call


def _failed(wire: Wire, fault: Fault) -> web.Response:
    status, message, code = FAILURES[fault.kind]
    status = fault.status or status if fault.kind in ("error", "auth") else status
    wanted = {"Retry-After": fault.retry_after, "Retry-After-Ms": fault.retry_after_ms}
    headers = {name: value for name, value in wanted.items() if value is not None}
    if fault.html:
        return web.Response(status=status, text=_HTML, content_type="text/html", headers=headers)
    return web.json_response(wire.failure(status, message, code), status=status, headers=headers)


async def _send(request: web.Request, fault: Fault | None, body: dict[str, Any]) -> web.StreamResponse:
    reply: web.StreamResponse = web.json_response(body)
    kind = fault.kind if fault else None
    if kind == "html":
        return web.Response(text=_HTML, content_type="text/html")
    if kind == "reset_body":
        whole = json.dumps(body).encode()
        reply = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
        await reply.prepare(request)
        await reply.write(whole[: len(whole) // 2])
    if kind in ("reset", "reset_body") and request.transport is not None:
        request.transport.abort()
    return reply


@web.middleware
async def _unknown_path(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed, web.HTTPRequestEntityTooLarge) as error:
        wire = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        return web.json_response(wire.failure(error.status, error.reason, None), status=error.status)


def _is_refused(request: web.Request) -> bool:
    key = request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
    return key.startswith(_WRONG_KEY)


async def _models(request: web.Request) -> web.Response:
    if _is_refused(request):
        return web.json_response(OPENAI.failure(401, "Incorrect API key provided", "invalid_api_key"), status=401)
    # One shape for both protocols: each SDK reads its own fields.
    model = {"id": MODEL, "object": "model", "created": 1735689600, "owned_by": "engross"}
    model |= {"type": "model", "display_name": "Stand-in", "created_at": "2025-01-01T00:00:00Z"}
    page = {"object": "list", "data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL}
    return web.json_response(page)


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "model": MODEL})


async def _script(request: web.Request, wanted: str) -> Script:
    try:
        script = Script.model_validate_json(await request.read())
        if wanted not in script.model_fields_set:
            raise ValueError(f"{wanted}: missing")
    except ValueError as error:
        raise web.HTTPBadRequest(text=dump({"error": str(error)}), content_type="application/json") from error
    return script


async def _add_faults(request: web.Request) -> web.Response:
    added = (await _script(request, "faults")).faults
    waiting = request.app[STATE].faults
    waiting += [fault for fault in added for _ in range(fault.times)]
    return web.json_response({"waiting": len(waiting)})


async def _calls(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return web.json_response({"count": state.count, "calls": list(state.calls)})


async def _reset(request: web.Request) -> web.Response:
    vars(request.app[STATE]).update(vars(State()))
    return web.json_response({"status": "ok"})


async def _latency(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.latency = max(0.0, (await _script(request, "seconds")).seconds)
    return web.json_response({"seconds": state.latency})
