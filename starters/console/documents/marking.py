"""Text as HTML, with the places where values were found marked."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from activities.documents.evidence import Found

MOST_MARKUP: Final = 30_000
"""Bytes of marks in one piece of HTML; places after that are not marked."""

MOST_NESTED: Final = 8
"""Values that are marked at one and the same place."""

_OPEN: Final = Markup('<mark data-field="{}">')
_CLOSE: Final = Markup("</mark>")


def marked(text: str, start: int, end: int, found: Iterable[Found]) -> Markup:
    """`text[start:end]` with `<mark data-field="lines.0.total">` around each place; all of it escaped.

    A place of several values has a mark for each, one in the other; where places overlap, marks end and begin anew.
    """
    html: list[Markup] = []
    left = MOST_MARKUP
    for first, last, fields in _segments(start, end, found):
        opening = Markup("").join(_OPEN.format(field) for field in fields)
        closing = _CLOSE * len(fields)
        left -= len((opening + closing).encode())
        piece = escape(text[first:last])
        html.append(opening + piece + closing if left >= 0 else piece)
    return Markup("").join(html)


def _segments(start: int, end: int, found: Iterable[Found]) -> Iterator[tuple[int, int, list[str]]]:
    """Start, end and fields of each stretch in which the same places are."""
    changes: dict[int, list[tuple[str, int]]] = {start: [], end: []}
    for value in found:
        for span in value.spans:
            first, last = max(span.start, start), min(span.end, end)
            if first < last:
                changes.setdefault(first, []).append((value.field, 1))
                changes.setdefault(last, []).append((value.field, -1))
    order = sorted(changes)
    open_fields: dict[str, int] = {}
    for first, last in pairwise(order):
        for field, change in changes[first]:
            open_fields[field] = open_fields.get(field, 0) + change
            if not open_fields[field]:
                del open_fields[field]
        yield first, last, list(open_fields)[:MOST_NESTED]
