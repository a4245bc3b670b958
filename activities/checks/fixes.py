"""What code alone can mend in an answer, without asking anybody: form, never content.

A fix must be one that every reader would make the same way: a wrapped object, an amount written with its currency sign,
"N/A" for null, a date in words. A date that can be read in two ways stays as it is, for the model to say again.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel

_NOTHING: Final = frozenset(
    {"", "-", "--", "n/a", "na", "none", "null", "nil", "not available", "not stated", "unknown"}
)
_DATE_FORMS: Final = ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%B %d %Y", "%b %d %Y", "%Y/%m/%d", "%Y.%m.%d")
_NUMERIC_DATE: Final = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_AMOUNT: Final = re.compile(r"[^\d.,-]*(-?\d[\d.,' ]*)[^\d]*")


def mend(output: type[BaseModel], value: Any) -> Any:
    """`value` (parsed JSON) in the form that `output`'s schema asks for, as far as code can tell."""
    schema = output.model_json_schema()
    return _mend(_unwrap(value, schema), schema, schema.get("$defs", {}))


def _unwrap(value: Any, schema: Mapping[str, Any]) -> Any:
    """`[{...}]`, `{"Invoice": {...}}` and `"{...}"` all mean `{...}`, when the schema has no such layer."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, list) and len(value) == 1 and schema.get("type") == "object":
        value = value[0]
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), properties = next(iter(value.items())), schema.get("properties", {})
        if isinstance(inner, dict) and key not in properties and set(inner) & set(properties):
            return inner
    return value


def _mend(value: Any, schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = defs.get(schema["$ref"].rpartition("/")[2], {})
    choices = schema.get("anyOf", [])
    if choices:
        nullable = any(choice.get("type") == "null" for choice in choices)
        if nullable and isinstance(value, str) and value.strip().lower() in _NOTHING:
            return None
        chosen = _only_choice(choices)
        return value if value is None or chosen is None else _mend(value, chosen, defs)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {key: _mend(inner, properties.get(key, {}), defs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mend(inner, schema.get("items", {}), defs) for inner in value]
    return _mend_text(value, schema) if isinstance(value, str) else value


def _only_choice(choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one choice besides null. A decimal is a number that may also come as a string of digits: one choice."""
    rest = [choice for choice in choices if choice.get("type") != "null"]
    numbers = [choice for choice in rest if choice.get("type") == "number"]
    others = [choice for choice in rest if choice not in numbers]
    if len(numbers) == 1 and all(choice.get("type") == "string" for choice in others):
        return numbers[0]
    return rest[0] if len(rest) == 1 else None


def _mend_text(value: str, schema: Mapping[str, Any]) -> Any:
    text = value.strip()
    if schema.get("type") in {"number", "integer"}:
        return _number(text)
    if schema.get("format") == "date":
        return _iso_date(text)
    if "enum" in schema:
        same = [choice for choice in schema["enum"] if isinstance(choice, str) and choice.lower() == text.lower()]
        return same[0] if len(same) == 1 else value
    return value


def _number(text: str) -> Any:
    """`"EUR 1.234,50"` as 1234.5. Digits in two groups with one separator of three digits ("1,234") stay ambiguous."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return text
    digits = match.group(1).replace(" ", "").replace("'", "").rstrip(".,")
    marks = [mark for mark in digits if mark in ".,"]
    if len(set(marks)) == 2:  # the last one is the decimal mark
        decimal = marks[-1]
        digits = digits.replace("." if decimal == "," else ",", "").replace(decimal, ".")
    elif len(marks) > 1:
        digits = digits.replace(marks[0], "")
    elif marks:
        if len(digits.rpartition(marks[0])[2]) == 3:
            return text
        digits = digits.replace(marks[0], ".")
    try:
        return json.loads(digits)
    except ValueError:
        return text


def _iso_date(text: str) -> str:
    for form in _DATE_FORMS:
        with suppress(ValueError):
            return datetime.strptime(text.replace(",", ", ").replace("  ", " "), form).date().isoformat()  # noqa: DTZ007 - a date has no zone
    match = _NUMERIC_DATE.fullmatch(text)
    if match is None:
        return text
    first, second, year = map(int, match.groups())
    readings = set()
    for day, month in ((first, second), (second, first)):
        with suppress(ValueError):
            readings.add(date(year, month, day))
    return readings.pop().isoformat() if len(readings) == 1 else text
