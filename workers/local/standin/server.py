"""The HTTP side: two model endpoints, and `/control` to script faults and see the calls."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from pydantic import BaseModel

from .delivery import HTML, send
from .faults import Fault
from .fences import Material
from .judging import is_evaluation, judge
from .merging import merge
from .rules import answer, summary
from .state import Call, State
from .wires import ANTHROPIC, MODEL, OPENAI, Answer, Ask, BadRequest, Body, Wire, dump, render

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 64 * 1024 * 1024
_WRONG_KEY = "sk-wrong"


class Script(BaseModel):
    """What `/control/faults` and `/control/latency` take."""

    faults: list[Fault] = []
    seconds: float = 0.0


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
    text = summary(ask.material.text) if ask.schema is None else dump(_filled(ask.schema, ask.material))
    return Answer(text, ask.tool).cut(ask.max_tokens)


def _filled(schema: Body, material: Material) -> Body:
    if not material.has_document:
        return merge(schema, material.answers)
    if is_evaluation(material.answers):
        return judge(schema, material.text, material.answers[0].value)
    return answer(schema, material.text)


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
        return await _answered(request, wire, ask, model=body["model"], sha256=hashlib.sha256(raw).hexdigest())

    return model_call


async def _answered(request: web.Request, wire: Wire, ask: Ask, *, model: str, sha256: str) -> web.StreamResponse:
    state = request.app[STATE]
    fault = state.take(ask.material.text, wire.name, model)
    failure = fault.failure() if fault else None
    # In a thread: rules may take a while over a long document, and other calls must go on.
    reply = None if failure else await asyncio.to_thread(respond, ask)
    reply = fault.spoil(reply, ask) if fault and reply else reply
    call = state.record(ask, fault, reply, wire=wire.name, path=request.path, model=model, sha256=sha256)
    with _to_its_end(call):
        await asyncio.sleep(state.latency)
        if fault and failure:
            call["status"] = failure[0]
            return _failed(wire, fault, failure)
        return await send(request, call, fault, render(_body(wire, ask, reply, fault)) if reply else "")


def _body(wire: Wire, ask: Ask, reply: Answer, fault: Fault | None) -> Body:
    body = wire.reply(reply, ask)
    return fault.bend(body) if fault else body


@contextmanager
def _to_its_end(call: Call) -> Iterator[None]:
    """Notes in `call` when the caller does not wait for the end."""
    try:
        yield
    except (asyncio.CancelledError, ConnectionResetError):
        call["hung_up"] = True
        raise


def _failed(wire: Wire, fault: Fault, failure: tuple[int, str, str | None]) -> web.Response:
    status, message, code = failure
    wanted = {"Retry-After": fault.retry_after, "Retry-After-Ms": fault.retry_after_ms}
    headers = {name: value for name, value in wanted.items() if value is not None}
    if fault.html:
        return web.Response(status=status, text=HTML, content_type="text/html", headers=headers)
    return web.json_response(wire.failure(status, message, code), status=status, headers=headers)


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
    return web.json_response({"waiting": request.app[STATE].script((await _script(request, "faults")).faults)})


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
