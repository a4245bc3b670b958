"""Scripted faults: what goes wrong with the next calls."""

import json
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .wires import Answer, Ask, Body, dump

Failure = Literal["rate_limit", "quota", "error", "auth", "context_too_long", "policy"]  # an error response
Spoilt = Literal["truncate", "window", "refuse", "filter", "malformed", "invalid", "empty", "empty_input"]  # a reply
Bent = Literal["usage", "model", "two_calls"]  # a good reply with something odd about it
# What goes wrong on the way: late, broken off, never ending, too much, or nothing of the protocol.
Transport = Literal["timeout", "slow", "slow_headers", "drip", "stall", "reset", "reset_body", "huge", "gzip_bomb"]
NoReply = Literal["html", "not_json", "garbled"]

FAILURES: dict[str, tuple[int, str, str | None]] = {  # status, message, OpenAI's code
    "rate_limit": (429, "Rate limit reached for requests", "rate_limit_exceeded"),
    "quota": (429, "You exceeded your current quota, please check your plan and billing", "insufficient_quota"),
    "error": (500, "The server had an error while processing your request", None),
    "auth": (401, "The key is not allowed to do this", "invalid_api_key"),
    "context_too_long": (400, "prompt is too long: maximum context length exceeded", "context_length_exceeded"),
    "policy": (400, "Output blocked by content filtering policy", "content_policy_violation"),
}
_DENIED = {  # the same for `auth` with a status of its own
    402: ("Insufficient Balance", "invalid_request_error"),
    403: ("The project does not have access to this model", "model_not_found"),
}
_OTHER_MODEL = "another-model"
_OPENAI_USAGE = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}


class Fault(BaseModel):
    """One fault, used by the next `times` calls whose document contains `match` (or the answers that they are given,
    where they have no document), on one wire or for one model only when `path` or `model` says so. With `for_seconds`
    it is an outage instead: all such calls until then, uncounted.

    `status` is for `error` and `auth`; `retry_after` and `retry_after_ms` are sent verbatim as headers; `text`
    replaces the reply of `malformed`, the name in `model`, the body of `not_json`; `arguments` the reply of `invalid`;
    `usage` goes out as it is (the names of tokens are Anthropic's on both wires), and is left out when not given.
    `seconds` is how long `timeout`, `slow` and `slow_headers` wait before the first byte, and between two bytes of
    `drip` or the blanks of `stall`. `bytes` is the size of `huge` and `gzip_bomb`, the latter once unpacked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Failure | Spoilt | Bent | Transport | NoReply
    times: int = Field(1, ge=1)
    for_seconds: float | None = Field(None, gt=0)
    match: str = ""
    path: Literal["openai", "anthropic"] | None = None
    model: str | None = None
    status: int | None = Field(None, ge=400, le=599)
    html: bool = False
    retry_after: str | None = None
    retry_after_ms: str | None = None
    seconds: float = Field(1.0, ge=0)
    size: int = Field(200_000_000, ge=0, alias="bytes")
    text: str | None = None
    arguments: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None

    def meets(self, document: str, wire: str, model: str) -> bool:
        """Whether it is for such a call."""
        return self.match in document and self.path in (None, wire) and self.model in (None, model)

    def failure(self) -> tuple[int, str, str | None] | None:
        """Status, message and OpenAI's code of an error response; None for other faults."""
        if self.kind not in FAILURES:
            return None
        status, message, code = FAILURES[self.kind]
        if self.kind in ("error", "auth"):
            status = self.status or status
        return (status, *_DENIED[status]) if self.kind == "auth" and status in _DENIED else (status, message, code)

    def spoil(self, reply: Answer, ask: Ask) -> Answer:
        """The reply after the fault. Those that are not about what it says leave it as it is."""
        match self.kind:
            case "truncate":
                return reply.cut(max(1, reply.output_tokens // 2))
            case "window":
                return replace(reply.cut(max(1, reply.output_tokens // 2)), stop="window")
            case "refuse":
                return Answer("I can't help with this document.", stop="refusal")
            case "filter" | "empty":
                return Answer("", stop="filter" if self.kind == "filter" else "stop")
            case "malformed":
                return replace(reply, text=f"{reply.text[:-1]},}}" if self.text is None else self.text)
            case "empty_input":
                return replace(reply, text="{}")
            case "invalid":
                return replace(reply, text=dump(_invalid(reply, ask) if self.arguments is None else self.arguments))
        return reply

    def bend(self, body: Body) -> Body:
        """The body of a reply after the fault, on either wire."""
        if self.kind == "model":
            return {**body, "model": self.text or _OTHER_MODEL}
        if self.kind == "usage":
            rest = {name: value for name, value in body.items() if name != "usage"}
            return {**rest, "usage": self._usage(body)} if "usage" in self.model_fields_set else rest
        return _with_two_calls(body) if self.kind == "two_calls" else body

    def _usage(self, body: Body) -> Body | None:
        names = _OPENAI_USAGE if "choices" in body else {}
        return None if self.usage is None else {names.get(name, name): value for name, value in self.usage.items()}


def _with_two_calls(body: Body) -> Body:
    if "choices" not in body:
        return {**body, "content": body["content"] * 2}
    choice = body["choices"][0]
    message = {**choice["message"], "tool_calls": choice["message"].get("tool_calls", []) * 2}
    return {**body, "choices": [{**choice, "message": message}]}


def _invalid(reply: Answer, ask: Ask) -> dict[str, Any]:
    """The answer with its first required field missing and the next one of the wrong type."""
    answer: dict[str, Any] = json.loads(reply.text) if ask.schema else {}
    missing, *others = [name for name in answer if name in (ask.schema or {}).get("required", [])] or [""]
    return {name: {"not": "this type"} if name in others[:1] else answer[name] for name in answer if name != missing}
