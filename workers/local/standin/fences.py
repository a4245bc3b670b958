"""What a request is about: the fenced document and the fenced answers of other steps."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_TAG = re.compile(r"<(/?)document-([0-9a-fA-F]{1,64})>")
_ANSWER = re.compile(r"(?:^|\n)([^\n]*):\s+<answer-([0-9a-fA-F]{1,64})>\n(.*?)\n</answer-\2>", re.DOTALL)


@dataclass(frozen=True)
class Given:
    """An answer of another step as this call may read it: what it is called there, and its JSON parsed."""

    label: str
    value: Any


@dataclass(frozen=True)
class Material:
    """All that the rules see. `text` is the document, or the answers' JSON where there is none."""

    text: str
    has_document: bool = True
    answers: tuple[Given, ...] = ()


def material_of(user_messages: Sequence[str]) -> Material:
    """The document and the answers of the first user message that has any, else the last message as the document."""
    for message in user_messages:
        span, fence = _document(message)
        # Fences of one call share a name, so what a document pretends to be an answer isn't one.
        outside = message if span is None else message[: span[0]] + message[span[1] :]
        found = [m for m in _ANSWER.finditer(outside) if m[2] == fence or span is None]
        answers = tuple(Given(m[1].strip(), _parsed(m[3])) for m in found if m[2] == found[0][2])
        if span is not None:
            document = message[span[0] : span[1]].removeprefix("\n").removesuffix("\n")
            return Material(document, answers=answers)
        if answers:
            return Material("\n".join(m[3] for m in found), has_document=False, answers=answers)
    return Material(user_messages[-1] if user_messages else "")


def _document(message: str) -> tuple[tuple[int, int] | None, str]:
    """Where the last fenced document of a message is, and the name of its fence."""
    opened: dict[str, int] = {}
    found, fence = None, ""
    for tag in _TAG.finditer(message):
        if not tag[1]:
            opened.setdefault(tag[2], tag.end())
        elif tag[2] in opened:
            found, fence = (opened.pop(tag[2]), tag.start()), tag[2]
    return found, fence


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    for each in parts(value):
        yield from strings(each)


def parts(value: Any) -> list[Any]:
    """What a JSON value holds, one level down."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
