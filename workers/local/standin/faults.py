"""Scripted faults: what goes wrong with the next calls."""

import json
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .wires import Answer, Ask, dump

Failure = Literal["rate_limit", "quota", "error", "auth", "context_too_long"]  # an error response
Spoilt = Literal["truncate", "refuse", "filter", "malformed", "invalid", "empty"]  # a reply that can't be used
Transport = Literal["timeout", "slow", "reset", "reset_body", "html"]

FAILURES: dict[str, tuple[int, str, str | None]] = {  # status, message, OpenAI's code
    "rate_limit": (429, "Rate limit reached for requests", "rate_limit_exceeded"),
    "quota": (429, "You exceeded your current quota, please check your plan and billing", "insufficient_quota"),
    "error": (500, "The server had an error while processing your request", None),
    "auth": (401, "The key is not allowed to do this", "invalid_api_key"),
    "context_too_long": (400, "prompt is too long: maximum context length exceeded", "context_length_exceeded"),
}


class Fault(BaseModel):
    """One fault, used by the next `times` calls whose document contains `match`.

    `status` is for `error` and `auth`; `retry_after` and `retry_after_ms` are sent verbatim as headers; `seconds` is
    how long `timeout` and `slow` wait; `text` replaces the reply of `malformed`, `arguments` that of `invalid`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Failure | Spoilt | Transport
    times: int = Field(1, ge=1)
    match: str = ""
    status: int | None = Field(None, ge=400, le=599)
    html: bool = False
    retry_after: str | None = None
    retry_after_ms: str | None = None
    seconds: float = Field(1.0, ge=0)
    text: str | None = None
    arguments: dict[str, Any] | None = None

    def spoil(self, reply: Answer, ask: Ask) -> Answer:
        """The reply after the fault. Faults of the transport leave it as it is."""
        match self.kind:
            case "truncate":
                return reply.cut(max(1, reply.output_tokens // 2))
            case "refuse":
                return Answer("I can't help with this document.", stop="refusal")
            case "filter" | "empty":
                return Answer("", stop="filter" if self.kind == "filter" else "stop")
            case "malformed":
                return replace(reply, text=f"{reply.text[:-1]},}}" if self.text is None else self.text)
            case "invalid":
                return replace(reply, text=dump(_invalid(reply, ask) if self.arguments is None else self.arguments))
        return reply


def _invalid(reply: Answer, ask: Ask) -> dict[str, Any]:
    """The answer with its first required field missing and the next one of the wrong type."""
    answer: dict[str, Any] = json.loads(reply.text) if ask.schema else {}
    missing, *others = [name for name in answer if name in (ask.schema or {}).get("required", [])] or [""]
    return {name: {"not": "this type"} if name in others[:1] else answer[name] for name in answer if name != missing}
