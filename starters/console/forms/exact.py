"""JSON without loss: numbers that aren't whole stay the digits that were written."""

import json
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any


def loads(text: str | bytes) -> Any:
    """Parsed JSON, with a Decimal for each number that isn't whole. Raises ValueError, never with the text itself."""
    try:
        return json.loads(text, parse_float=_decimal, parse_constant=_no_constants, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON: Decimals as numbers with all their digits; ASCII only, unless indented for people to read.

    Raises ValueError for what isn't JSON.
    """
    return _text(value, indent, 0)


def _text(value: Any, indent: int | None, level: int) -> str:
    if isinstance(value, dict):
        pairs = (f"{_quoted(key, indent)}: {_text(item, indent, level + 1)}" for key, item in value.items())
        return _block("{", pairs, "}", indent, level)
    if isinstance(value, list | tuple):
        return _block("[", (_text(item, indent, level + 1) for item in value), "]", indent, level)
    if isinstance(value, str):
        return _quoted(value, indent)
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value, allow_nan=False)
    raise ValueError(f"a {type(value).__name__} is not JSON")


def _quoted(text: str, indent: int | None) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        indent = None  # half a surrogate pair can't be sent as it is
    return json.dumps(str(text), ensure_ascii=indent is None)


def _block(start: str, items: Iterable[str], end: str, indent: int | None, level: int) -> str:
    parts = list(items)
    if not parts or indent is None:
        return start + ", ".join(parts) + end
    line = "\n" + " " * (indent * (level + 1))
    return start + line + ("," + line).join(parts) + "\n" + " " * (indent * level) + end


def _decimal(digits: str) -> Decimal:
    if not math.isfinite(float(digits)):
        raise ValueError("a number is too large")
    return Decimal(digits)


def _no_constants(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise ValueError("an object has the same name twice")
    return keys
