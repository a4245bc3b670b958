"""What the two wire protocols share: an ask in, an answer out."""

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from .rules import answer, summary

Stop = Literal["stop", "length", "refusal", "filter"]

MODEL = "stand-in"
_FENCE = re.compile(r"<document-([0-9a-fA-F]+)>\n?(.*?)\n?</document-\1>", re.DOTALL)
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Ask:
    """One model call: the document, the schema to fill (None: plain text), the tool to answer with (None: JSON text).

    `document` is all the rules see. `named` says that the caller chose this very tool. Tokens are estimates.
    """

    document: str
    input_tokens: int
    schema: dict[str, Any] | None = None
    tool: str | None = None
    named: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True)
class Answer:
    """One reply. `text` is JSON when the ask had a schema; `tool` says that the text is that tool's arguments."""

    text: str
    tool: str | None = None
    stop: Stop = "stop"

    @property
    def output_tokens(self) -> int:
        return tokens(self.text)


def tokens(text: str) -> int:
    """Estimated tokens: a quarter of the characters, rounded up."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def document_of(user_messages: list[str]) -> str:
    """The last fenced document of the first user message that has one, else the last user message."""
    for message in user_messages:
        if fences := _FENCE.findall(message):
            return str(fences[-1][1])
    return user_messages[-1] if user_messages else ""


def schema_in(text: str) -> dict[str, Any] | None:
    """The first JSON schema of an object written out in `text`: how JSON mode hands it over."""
    decoder = json.JSONDecoder()
    for brace in re.finditer(r"\{\s*\"", text):
        try:
            found, _ = decoder.raw_decode(text, brace.start())
        except ValueError:
            continue
        if isinstance(found, dict) and "properties" in found:
            return found
    return None


def respond(ask: Ask) -> Answer:
    """The rules' answer, cut when it is longer than the ask allows."""
    text = summary(ask.document) if ask.schema is None else dump(answer(ask.schema, ask.document))
    return shorten(Answer(text, tool=ask.tool), ask.max_tokens)


def shorten(reply: Answer, max_tokens: int | None) -> Answer:
    """The reply, cut to `max_tokens` when it is longer."""
    if max_tokens is None or reply.output_tokens <= max_tokens:
        return reply
    return replace(reply, text=reply.text[: max_tokens * _CHARACTERS_PER_TOKEN], stop="length")


def dump(value: object) -> str:
    """Compact JSON, letters of all languages kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
