"""One value as the text of one field, and back."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from starters.console.forms.exact import dumps, loads
from starters.console.forms.shapes import Kind, Shape


class Absent:
    """There is no value: its name is not in the object."""


ABSENT: Final = Absent()


class Unread(str):
    """What somebody typed where it can't be read as what is wanted. It is shown again as it was typed."""

    __slots__ = ()


class Rows(list[tuple[str, Any]]):
    """An object of which a name is missing or comes twice, as somebody filled it in."""


class Unreadable(ValueError):
    """What was typed is not what the field wants; the message says what is, to the person who typed it."""


_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER: Final = re.compile(r"([+-]?)([0-9]{1,4000})(\.[0-9]{1,4000})?([eE][+-]?[0-9]{1,3})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_ZEROS: Final = 30


def text_of(shape: Shape, value: Any) -> str | None:
    """The text that a field shows for `value`; None when no field of this shape can show it."""
    if value is ABSENT or value is None:
        return ""
    if isinstance(value, dict | list):
        return None
    if isinstance(value, Unread):
        return value
    if shape.kind is Kind.CHOICE:
        return code_of(shape, value)
    if isinstance(value, str):
        return value
    return dumps(value) if isinstance(value, bool) else _digits(value)


def read_text(shape: Shape, text: str, *, required: bool = True) -> Any:
    """The value that `text` stands for; nothing typed is null, or no value at all where none is required.

    Raises `Unreadable`.
    """
    text = normal(text)
    if shape.kind in (Kind.TEXT, Kind.MIXED):
        return text if text or not shape.nullable else None
    if not text.strip():
        return None if required or shape.nullable else ABSENT
    if shape.kind is Kind.CHOICE:
        return _chosen(shape, text)
    return _READERS[shape.kind](text.strip())


def normal(text: str) -> str:
    """`text` as every browser would post it, but for its line ends: those are single line feeds."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text


def is_same_text(shape: Shape, one: str, other: str) -> bool:
    """Whether a browser that was given `one` and posts `other` was left alone."""
    one, other = normal(one), normal(other)
    if one == other:
        return True
    parse = _CLOCKS.get(shape.kind)
    try:
        return parse is not None and parse(one) == parse(other)
    except ValueError:
        return False


def code_of(shape: Shape, value: Any) -> str:
    """What stands for `value` among the options of a choice, and for nothing else."""
    text = value if isinstance(value, str) else dumps(value)
    others = [option for option in shape.options if type(option) is not type(value) or option != value]
    clash = any(text == (option if isinstance(option, str) else dumps(option)) for option in others)
    is_text = isinstance(value, str)
    return f"json:{dumps(value)}" if not text or (clash and not is_text) or text.startswith("json:") else text


def _chosen(shape: Shape, text: str) -> Any:
    for option in shape.options:
        if normal(code_of(shape, option)) == text:
            return option
    raise Unreadable("Choose one of the options.")


def _digits(value: Decimal | int | float) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if isinstance(number, Decimal) and number.is_finite() and -_MOST_ZEROS < number.adjusted() < _MOST_ZEROS:
        exponent = number.as_tuple().exponent
        return format(number, "f") if isinstance(exponent, int) and exponent <= 0 else str(number)
    return str(number)


def _number(text: str) -> Any:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise Unreadable("Give a number, with a point and without separators, such as 1234.50.")
    sign, whole, *rest = (part or "" for part in found.groups())
    try:
        return loads(sign.replace("+", "") + (whole.lstrip("0") or "0") + "".join(rest))
    except ValueError:
        raise Unreadable("Give a smaller number.") from None


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise Unreadable("Give a whole number, such as 12.")
    return int(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise Unreadable("Choose yes or no.")
    return text == "true"


def _date(text: str) -> str:
    return _checked(text, date.fromisoformat if _DATE.fullmatch(text) else None, "a date as YYYY-MM-DD")


def _datetime(text: str) -> str:
    return _checked(text, datetime.fromisoformat, "date and time, such as 2026-03-04T09:30:00Z")


def _time(text: str) -> str:
    return _checked(text, time.fromisoformat, "a time, such as 09:30:00")


def _checked(text: str, parse: Callable[[str], object] | None, wanted: str) -> str:
    try:
        if parse is not None and parse(text) is not None:
            return text
    except ValueError:
        pass  # it is told below, in the words of the form
    raise Unreadable(f"Give {wanted}.")


_READERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.TIME: _time,
}

# A browser leaves out seconds that are zero.
_CLOCKS: Final[Mapping[Kind, Callable[[str], object]]] = {
    Kind.DATETIME: datetime.fromisoformat,
    Kind.TIME: time.fromisoformat,
}
