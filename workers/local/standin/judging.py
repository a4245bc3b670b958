"""What the rules say of an attempt at an answer: how much of it the document holds, and what is empty."""

import re
from typing import Any

from .fences import Given, strings
from .prose import words
from .rules import answer
from .shapes import Schema, properties, resolve

_ATTEMPT = "attempt"
_LEAST_GROUNDED = 0.8  # share of a field's words that the document should have
_SUREST = 0.95  # words alone don't tell that something is right
_LABEL = re.compile(r"[a-z_]+")  # one of the schema's own values, not the document's words
_EMPTY: tuple[Any, ...] = ("", [], {})
_FAULTS = ("issues", "problems", "errors", "faults")


def is_evaluation(given: tuple[Given, ...]) -> bool:
    """Whether a call asks what an attempt is worth: it is given that, and no evaluation of it yet."""
    return [each.label for each in given] == [_ATTEMPT]


def judge(schema: Schema, document: str, attempt: Any) -> dict[str, Any]:
    """The schema's score and list of issues by what the attempt says; all else as of the document alone."""
    made = answer(schema, document)
    known = words(document)
    for prop in properties(resolve(schema, schema), schema):
        if prop.is_share:
            made[prop.name] = prop.share(score(attempt, known))
        elif prop.kind == "array" and prop.name in _FAULTS:
            most = prop.spec.get("maxItems")
            made[prop.name] = [prop.item(schema).fit(issue) for issue in issues(attempt, known)[:most]]
    return made


def score(attempt: Any, known: frozenset[str]) -> float:
    """From 0 to 0.95: the share of its words that are `known`, times the share of its fields that aren't empty."""
    fields = list(attempt.values()) if isinstance(attempt, dict) else []
    filled = [value for value in fields if value not in _EMPTY]
    return _SUREST * _grounded(attempt, known) * len(filled) / len(fields) if fields else 0.0


def issues(attempt: Any, known: frozenset[str]) -> list[str]:
    """What is wrong, by the names of the fields; never with their words."""
    if not isinstance(attempt, dict):
        return ["The attempt has no fields."]
    unfounded = [name for name, value in attempt.items() if _grounded(value, known) < _LEAST_GROUNDED]
    empty = [name for name, value in attempt.items() if value in _EMPTY]
    return [
        *(f"{name}: says things that the document doesn't say." for name in unfounded),
        *(f"{name}: is empty; fill it if the document says anything about it." for name in empty),
    ]


def _grounded(value: Any, known: frozenset[str]) -> float:
    """The share of its words of four letters or more that are `known`; 1 of what has none."""
    said = words(" ".join(text for text in strings(value) if not _LABEL.fullmatch(text)))
    return len(said & known) / len(said) if said else 1.0
