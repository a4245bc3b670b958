"""The two wire protocols: request body -> Ask, Answer -> response body, failure -> error body."""

import json
import math
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .fences import Material, material_of

MODEL = "stand-in"
Body = dict[str, Any]

_CHARACTERS_PER_TOKEN = 4
_OPENAI_ERRORS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_ERRORS = {400: "invalid_request_error", 402: "billing_error", 404: "not_found_error"}
_ANTHROPIC_ERRORS |= {529: "overloaded_error", **_OPENAI_ERRORS}


class BadRequest(Exception):
    """The body isn't a request of the protocol; the message says why and is shown to the caller."""


@dataclass(frozen=True)
class Ask:
    """One model call: the material, the schema to fill (None: plain text), the tool to answer with (None: JSON text).

    `material` is all the rules see. `named` says that the caller chose this very tool. Tokens are estimates.
    """

    material: Material
    input_tokens: int
    schema: Body | None = None
    tool: str | None = None
    named: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True)
class Answer:
    """One reply. `text` is JSON when the ask had a schema; `tool` says that the text is that tool's arguments."""

    text: str
    tool: str | None = None
    stop: Literal["stop", "length", "window", "refusal", "filter"] = "stop"

    @property
    def output_tokens(self) -> int:
        return tokens(self.text)

    def cut(self, max_tokens: int | None) -> "Answer":
        """The reply, no longer than `max_tokens`."""
        if max_tokens is None or self.output_tokens <= max_tokens:
            return self
        return Answer(self.text[: max_tokens * _CHARACTERS_PER_TOKEN], self.tool, "length")


@dataclass(frozen=True)
class Verbatim:
    """JSON text that goes into a body as it is: NaN, keys given twice, nesting deeper than `json` reads."""

    text: str


@dataclass(frozen=True)
class Wire:
    """One protocol. `failure(status, message, code)` gives an error body, `code` being OpenAI's."""

    name: str
    ask: Callable[[Body], Ask]
    reply: Callable[[Answer, Ask], Body]
    failure: Callable[[int, str, str | None], Body]


def dump(value: object) -> str:
    """Compact JSON, letters of all languages kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def render(body: Body) -> str:
    """The body as JSON, with its `Verbatim` parts as they are."""
    kept: dict[str, str] = {}

    def mark(part: object) -> str:
        if not isinstance(part, Verbatim):
            raise TypeError(f"{type(part).__name__} isn't JSON")
        name = uuid.uuid4().hex
        kept[dump(name)] = part.text
        return name

    text = json.dumps(body, default=mark)
    for name, verbatim in kept.items():
        text = text.replace(name, verbatim)
    return text


def _schema_in(text: str) -> Body | None:
    """The first JSON schema of an object written out in `text`: how JSON mode hands it over."""
    for brace in re.finditer(r"\{\s*\"", text):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, brace.start())
        except ValueError:
            continue
        if "properties" in found:
            return dict(found)
    return None


def tokens(text: str) -> int:
    """Estimated tokens: a quarter of the characters, rounded up."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _id() -> str:
    return uuid.uuid4().hex[:24]


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else []
    texts = [str(part.get("text", "")) for part in parts if isinstance(part, dict)]
    return content if isinstance(content, str) else "\n".join(texts)


def _messages(body: Body, *roles: str) -> list[str]:
    messages = body.get("messages")
    if not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise BadRequest("messages: must be a non-empty list of objects with a role and content")
    if body.get("stream"):
        raise BadRequest("stream: the stand-in doesn't stream")
    return [_text(message.get("content")) for message in messages if message["role"] in roles]


def _ask(body: Body, system: str, tools: Mapping[str, Body], schema: Body | None = None) -> Ask:
    limits = [body[key] for key in ("max_tokens", "max_completion_tokens") if body.get(key) is not None]
    if any(not isinstance(limit, int) or limit < 1 for limit in limits):
        raise BadRequest("max_tokens: must be a positive integer")
    users = _messages(body, "user")
    choice = body.get("tool_choice")
    named = next((name for name in tools if isinstance(choice, dict) and name in dump(choice)), None)
    tool = named or (next(iter(tools), None) if choice != "none" else None)
    # JSON mode gives no schema of its own: clients write it into the system prompt.
    schema = tools[tool] if tool else schema or _schema_in(system)
    size = tokens(system + "".join(users) + (dump(dict(tools)) if tools else ""))
    return Ask(material_of(users), size, schema, tool, named is not None, min(limits, default=None))


def _openai_ask(body: Body) -> Ask:
    system = "\n".join(_messages(body, "system", "developer"))
    try:
        tools = {t["function"]["name"]: t["function"].get("parameters") or {} for t in body.get("tools") or []}
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    except (AttributeError, KeyError, TypeError) as error:
        raise BadRequest("tools or response_format: not of the documented shape") from error
    return _ask(body, system, tools, schema)


def _openai_reply(answer: Answer, ask: Ask) -> Body:
    message: Body = {"role": "assistant", "content": None, "refusal": None}
    if answer.stop == "refusal":
        message["refusal"] = answer.text
    elif answer.tool:
        call = {"name": answer.tool, "arguments": answer.text}
        message["tool_calls"] = [{"id": f"call_{_id()}", "type": "function", "function": call}]
    else:
        message["content"] = answer.text
    # A tool chosen by name ends with "stop", one chosen by the model with "tool_calls".
    done = "tool_calls" if answer.tool and not ask.named else "stop"
    finish = {"length": "length", "window": "length", "filter": "content_filter"}.get(answer.stop, done)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    spent = {"prompt_tokens": ask.input_tokens, "completion_tokens": answer.output_tokens}
    head = {"id": f"chatcmpl-{_id()}", "object": "chat.completion", "created": int(time.time()), "model": MODEL}
    return {**head, "choices": [choice], "usage": {**spent, "total_tokens": sum(spent.values())}}


def _openai_failure(status: int, message: str, code: str | None) -> Body:
    kind = _OPENAI_ERRORS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_ask(body: Body) -> Ask:
    if body.get("max_tokens") is None:
        raise BadRequest("max_tokens: Field required")
    try:
        tools = {t["name"]: t["input_schema"] for t in body.get("tools") or []}
    except (KeyError, TypeError) as error:
        raise BadRequest("tools: not of the documented shape") from error
    return _ask(body, _text(body.get("system")), tools)


def _anthropic_reply(answer: Answer, ask: Ask) -> Body:
    content: list[Body] = [{"type": "text", "text": answer.text}] if answer.text else []
    called = answer.tool is not None and answer.text.lstrip().startswith("{")  # an input is an object, prose is text
    if called:
        # Broken arguments arrive as `{}`, as they do from the real service.
        given: Verbatim | Body = Verbatim(answer.text) if _is_json(answer.text) else {}
        content = [{"type": "tool_use", "id": f"toolu_{_id()}", "name": answer.tool, "input": given}]
    stops = {"length": "max_tokens", "window": "model_context_window_exceeded"}
    stops |= {"refusal": "refusal", "filter": "refusal"}
    stop = {"stop_reason": stops.get(answer.stop, "tool_use" if called else "end_turn"), "stop_sequence": None}
    spent = {"input_tokens": ask.input_tokens, "output_tokens": answer.output_tokens}
    head = {"id": f"msg_{_id()}", "type": "message", "role": "assistant", "model": MODEL}
    return {**head, "content": content, **stop, "usage": spent}


def _is_json(text: str) -> bool:
    """Whether lenient readers take it: too deep for `json` is no syntax error."""
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _anthropic_failure(status: int, message: str, _: str | None) -> Body:
    error = {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": f"req_{_id()}"}


OPENAI = Wire("openai", _openai_ask, _openai_reply, _openai_failure)
ANTHROPIC = Wire("anthropic", _anthropic_ask, _anthropic_reply, _anthropic_failure)
