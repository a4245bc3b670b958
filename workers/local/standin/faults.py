"""Scripted faults: what goes wrong with the next calls, in order."""

import json
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .ask import Answer, Ask, dump, shorten

Kind = Literal[
    "rate_limit",
    "quota",
    "error",
    "auth",
    "timeout",
    "reset",
    "reset_body",
    "truncate",
    "refuse",
    "filter",
    "malformed",
    "invalid",
    "empty",
    "context_too_long",
    "html",
    "slow",
]


class Fault(BaseModel):
    """One fault, used by the next `times` calls whose document contains `match`.

    `retry_after` and `retry_after_ms` are sent verbatim as headers; `seconds` is how long `timeout` and `slow` wait;
    `text` replaces the reply of `malformed`, `arguments` that of `invalid`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    times: int = Field(1, ge=1)
    match: str = ""
    status: int | None = Field(None, ge=400, le=599)
    html: bool = False
    retry_after: str | None = None
    retry_after_ms: str | None = None
    seconds: float = Field(1.0, ge=0)
    text: str | None = None
    arguments: dict[str, Any] | None = None


class FaultQueue:
    """Faults in the order they were added; each is used up before the next one of its kind of call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, faults: list[Fault]) -> int:
        """Append; returns how many calls will fail in all."""
        self._waiting += [fault for fault in faults for _ in range(fault.times)]
        return len(self._waiting)

    def take(self, document: str) -> Fault | None:
        """The next fault for a call with this document, which is then used up."""
        for at, fault in enumerate(self._waiting):
            if fault.match in document:
                return self._waiting.pop(at)
        return None

    def clear(self) -> None:
        self._waiting.clear()


def failure_of(fault: Fault) -> tuple[int, str, str | None] | None:
    """Status, message and OpenAI code of a fault that is an error response; None for the others."""
    match fault.kind:
        case "rate_limit":
            return 429, "Rate limit reached for requests", "rate_limit_exceeded"
        case "quota":
            return 429, "You exceeded your current quota, please check your plan and billing", "insufficient_quota"
        case "error":
            return fault.status or 500, "The server had an error while processing your request", None
        case "auth":
            return fault.status or 401, "The key is not allowed to do this", "invalid_api_key"
        case "context_too_long":
            message = "prompt is too long: this model's maximum context length is exceeded"
            return 400, message, "context_length_exceeded"
    return None


def spoil(fault: Fault | None, reply: Answer, ask: Ask) -> Answer:
    """The reply after the fault. Faults of the transport leave it as it is."""
    match fault.kind if fault else "slow":
        case "truncate":
            return shorten(reply, max(1, reply.output_tokens // 2))
        case "refuse":
            return Answer("I can't help with this document.", stop="refusal")
        case "filter":
            return Answer("", stop="filter")
        case "empty":
            return Answer("")
        case "malformed":
            return replace(reply, text=_malformed(fault, reply))
        case "invalid":
            return replace(reply, text=dump(_invalid(fault, reply, ask)))
    return reply


def _malformed(fault: Fault | None, reply: Answer) -> str:
    if fault and fault.text is not None:
        return fault.text
    return f"{reply.text[:-1]},}}"  # a trailing comma


def _invalid(fault: Fault | None, reply: Answer, ask: Ask) -> dict[str, Any]:
    """The answer with its first required field missing and the next one of the wrong type."""
    if fault and fault.arguments is not None:
        return fault.arguments
    if ask.schema is None:
        return {}
    answer: dict[str, Any] = json.loads(reply.text)
    missing, *others = [name for name in answer if name in ask.schema.get("required", [])] or [""]
    return {name: {"not": "this type"} if name in others[:1] else answer[name] for name in answer if name != missing}
