"""From what a browser posts to a value."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel

from engross.errors import InvalidRequest
from starters.console.forms.exact import loads
from starters.console.forms.limits import MOST_ITEMS
from starters.console.forms.names import FROM, HERE, JSON, KEY, MORE, NONE, WAS, Posted, collect
from starters.console.forms.scalars import ABSENT, Rows, Unread, Unreadable, is_same_text, read_text, text_of
from starters.console.forms.shapes import Kind, Raw, Shape, Shapes

_MOST_DIGITS: Final = 6  # of the number of an item


@dataclass(frozen=True)
class Parsed:
    """`value` as JSON, and by dotted path what can't even be read.

    `origins` says, by the path of a list, which of the items that were shown each item is; None: it was added.
    With `errors` the value is good for `build_form` alone, which shows again what was typed.
    """

    value: Any
    errors: dict[str, list[str]]
    origins: dict[str, tuple[int | None, ...]]


def parse_form(model: type[BaseModel], items: Iterable[tuple[str, str]]) -> Parsed:
    """The value that the posted names and values stand for; what nobody touched is exactly what was rendered.

    It is not checked against the schema: see `check`. Raises `InvalidRequest` for a form that is too large, or that
    no page of ours has posted.
    """
    shapes = Shapes(model)
    reader = _Reader(shapes)
    value = reader.value(shapes.root, collect(items), "", required=True)
    return Parsed(None if value is ABSENT else value, reader.errors, reader.origins)


class _Reader:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self.errors: dict[str, list[str]] = {}
        self.origins: dict[str, tuple[int | None, ...]] = {}

    def value(self, raw: Raw, posted: Posted, path: str, *, required: bool) -> Any:
        """The value of one place; `ABSENT` when there is none."""
        shape = self._shapes.of(raw)
        if JSON in posted.values:
            return self._json(posted.text or "", path)
        if shape.kind is Kind.GROUP:
            return self._group(shape, posted, path)
        if shape.kind is Kind.LIST:
            return self._list(shape, posted, path)
        if shape.kind is Kind.PAIRS:
            return self._pairs(shape, posted, path)
        return self._scalar(shape, posted, path, required=required)

    def _scalar(self, shape: Shape, posted: Posted, path: str, *, required: bool) -> Any:
        text = posted.text
        if WAS in posted.values:
            was = _was(posted)
            if is_same_text(shape, text_of(shape, was) or "", text or ""):
                return was
            if shape.kind is Kind.MIXED and isinstance(was, int | Decimal) and _is_number(text or ""):
                shape = replace(shape, kind=Kind.NUMBER)
        if text is None or shape.kind is Kind.JSON:
            return ABSENT
        try:
            return read_text(shape, text, required=required)
        except Unreadable as error:
            return self._refused(text, path, str(error))

    def _refused(self, text: str, path: str, message: str) -> Unread:
        self.errors.setdefault(path, []).append(message)
        return Unread(text)

    def _json(self, text: str, path: str) -> Any:
        try:
            return loads(text) if text.strip() else ABSENT
        except ValueError as error:
            return self._refused(text, path, f"This is not JSON: {error}.")

    def _group(self, shape: Shape, posted: Posted, path: str) -> Any:
        if HERE not in posted.values:
            return _missing(shape, posted)
        found = self._more(posted, path)
        for name, raw in shape.properties.items():
            value = self.value(raw, posted.child(name), _inner(path, name), required=name in shape.required)
            if value is not ABSENT:
                found[name] = value
        return found

    def _more(self, posted: Posted, path: str) -> dict[str, Any]:
        """What the schema doesn't know."""
        text = posted.values.get(MORE, "")
        value = self._json(text, f"{path}:{MORE}")
        if value is ABSENT:
            return {}
        if isinstance(value, dict):
            return value
        if not isinstance(value, Unread):
            value = self._refused(text, f"{path}:{MORE}", "This must be a JSON object.")
        return {"": value}

    def _list(self, shape: Shape, posted: Posted, path: str) -> Any:
        rows = _rows(posted)
        self.origins[path] = tuple(_origin(row) for row in rows)
        if not rows:
            return _empty(shape, posted, [])
        found = []
        for number, row in enumerate(rows):
            value = self.value(shape.item, row, _inner(path, number), required=True)
            found.append(None if value is ABSENT else value)
        return found

    def _pairs(self, shape: Shape, posted: Posted, path: str) -> Any:
        rows = _rows(posted)
        if not rows:
            return _empty(shape, posted, {})
        found, seen, is_bad = Rows(), set[str](), False
        for number, row in enumerate(rows):
            key = self._key(row)
            is_good = key not in seen and not isinstance(key, Unread)
            own = _inner(path, key if is_good else f"#{number}")
            if not is_good:
                message = "Give a name." if isinstance(key, Unread) else "This name is there twice."
                self.errors.setdefault(f"{own}:{KEY}", []).append(message)
                is_bad = True
            seen.add(key)
            value = self.value(shape.item, row.child("value"), own, required=True)
            found.append((key, None if value is ABSENT else value))
        return found if is_bad else dict(found)

    def _key(self, row: Posted) -> str:
        text = row.values.get(KEY, "")
        field = Posted({"": text} | ({WAS: row.values[f"{KEY}:{WAS}"]} if f"{KEY}:{WAS}" in row.values else {}))
        key = self._scalar(Shape(Kind.TEXT), field, "", required=True)
        return key if isinstance(key, str) and (key or WAS in field.values) else Unread("")


def _inner(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)


def _is_number(text: str) -> bool:
    try:
        return read_text(Shape(Kind.NUMBER), text) is not None
    except Unreadable:
        return False


def _was(posted: Posted) -> Any:
    text = posted.values[WAS]
    try:
        return loads(text) if text else ABSENT
    except ValueError:
        raise InvalidRequest("The form is damaged: open the page again.") from None


def _missing(shape: Shape, posted: Posted) -> Any:
    """What stands for a group that isn't there."""
    if WAS in posted.values:
        return _was(posted)
    return None if shape.nullable else ABSENT


def _empty(shape: Shape, posted: Posted, nothing: Any) -> Any:
    """What stands for a list or an object with free names that has nothing in it."""
    if HERE not in posted.values:
        return ABSENT
    is_null = NONE in posted.values
    if WAS in posted.values and is_null == shape.nullable:
        return _was(posted)
    return None if is_null and shape.nullable else nothing


def _origin(row: Posted) -> int | None:
    text = row.values.get(FROM, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS else None


def _rows(posted: Posted) -> list[Posted]:
    rows = [child for part, child in posted.children.items() if part.isascii() and part.isdigit()]
    if len(rows) > MOST_ITEMS:
        raise InvalidRequest(f"A list of the form is too long: send at most {MOST_ITEMS} items.")
    return rows
