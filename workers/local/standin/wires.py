"""The two protocol shapes: request body -> Ask, Answer -> response body, failure -> error body."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .ask import MODEL, Answer, Ask, document_of, dump, schema_in, tokens

Body = dict[str, Any]
_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_OPENAI_ERRORS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class BadRequest(Exception):
    """The body isn't a request of the protocol; the message says why and is shown to the caller."""


@dataclass(frozen=True)
class Wire:
    """One protocol. `failure(status, message, code)` gives an error body, `code` being OpenAI's."""

    name: str
    ask: Callable[[Body], Ask]
    reply: Callable[[Answer, Ask], Body]
    failure: Callable[[int, str, str | None], Body]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _messages(body: Body) -> list[Body]:
    messages = body.get("messages")
    if not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise BadRequest("messages: must be a non-empty list of objects with a role and content")
    if body.get("stream"):
        raise BadRequest("stream: the stand-in doesn't stream")
    return messages


def _chosen(tools: Mapping[str, Body], choice: object) -> tuple[str | None, Body | None, bool]:
    """The tool to answer with, its schema, and whether it was chosen by name."""
    named = next((n for n in tools if isinstance(choice, dict) and n in dump(choice)), None)
    name = named or next(iter(tools), None)
    if name is None or choice == "none":
        return None, None, False
    return name, tools[name], named is not None


def _limit(body: Body, *keys: str) -> int | None:
    given = [body[key] for key in keys if body.get(key) is not None]
    if any(not isinstance(value, int) or value < 1 for value in given):
        raise BadRequest(f"{keys[0]}: must be a positive integer")
    return min(given, default=None)


def _ask(body: Body, system: str, tools: Mapping[str, Body], schema: Body | None, limit: int | None) -> Ask:
    messages = _messages(body)
    users = [_text(m.get("content")) for m in messages if m["role"] == "user"]
    tool, parameters, named = _chosen(tools, body.get("tool_choice"))
    # JSON mode gives no schema of its own: clients write it into the system prompt.
    schema = parameters if tool else schema or schema_in(system)
    size = tokens(system + "".join(users) + (dump(dict(tools)) if tools else ""))
    return Ask(document_of(users), size, schema, tool, named, limit)


def _openai_ask(body: Body) -> Ask:
    messages = _messages(body)
    system = "\n".join(_text(m.get("content")) for m in messages if m["role"] in ("system", "developer"))
    try:
        tools = {t["function"]["name"]: t["function"].get("parameters") or {} for t in body.get("tools") or []}
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    except (AttributeError, KeyError, TypeError) as error:
        raise BadRequest("tools or response_format: not of the documented shape") from error
    return _ask(body, system, tools, schema, _limit(body, "max_tokens", "max_completion_tokens"))


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
    finish = {"length": "length", "filter": "content_filter"}.get(answer.stop, done)
    return {
        "id": f"chatcmpl-{_id()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": ask.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": ask.input_tokens + answer.output_tokens,
        },
    }


def _openai_failure(status: int, message: str, code: str | None) -> Body:
    kind = _OPENAI_ERRORS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_ask(body: Body) -> Ask:
    limit = _limit(body, "max_tokens")
    if limit is None:
        raise BadRequest("max_tokens: Field required")
    try:
        tools = {t["name"]: t["input_schema"] for t in body.get("tools") or []}
    except (KeyError, TypeError) as error:
        raise BadRequest("tools: not of the documented shape") from error
    return _ask(body, _text(body.get("system")), tools, None, limit)


def _anthropic_reply(answer: Answer, ask: Ask) -> Body:
    content: list[Body] = [{"type": "text", "text": answer.text}] if answer.text else []
    called = answer.tool is not None and answer.text.lstrip().startswith("{")  # an input is an object, prose is text
    if called:
        content = [{"type": "tool_use", "id": f"toolu_{_id()}", "name": answer.tool, "input": _input(answer.text)}]
    done = "tool_use" if called else "end_turn"
    stops = {"length": "max_tokens", "refusal": "refusal", "filter": "refusal"}
    return {
        "id": f"msg_{_id()}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stops.get(answer.stop, done),
        "stop_sequence": None,
        "usage": {"input_tokens": ask.input_tokens, "output_tokens": answer.output_tokens},
    }


def _input(arguments: str) -> Body:
    """Arguments as an object. Broken ones arrive as `{}`, as they do from the real service."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _anthropic_failure(status: int, message: str, _: str | None) -> Body:
    kind = _ANTHROPIC_ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{_id()}"}


def _id() -> str:
    return uuid.uuid4().hex[:24]


OPENAI = Wire("openai", _openai_ask, _openai_reply, _openai_failure)
ANTHROPIC = Wire("anthropic", _anthropic_ask, _anthropic_reply, _anthropic_failure)
