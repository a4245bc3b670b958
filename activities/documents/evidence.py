"""Where a document prints the values of an answer."""

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from activities.documents.folding import Folded, Span, fold, folded
from activities.documents.printed import dates, numbers

MOST_SPANS: Final = 20
"""Places that are told of one value."""

MOST_VALUES: Final = 2_000
"""Values of an answer that are looked for; so many nobody looks at."""

_SHORTEST: Final = 3
_MOST_SEEN: Final = 10 * MOST_SPANS
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,19})(?:\.\d{1,20})?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?=T|$)")

Scalar = str | int | float | Decimal


@dataclass(frozen=True)
class Found:
    """The value at the dotted path `field` of an answer, and where the text prints it, the likeliest place first."""

    field: str
    spans: tuple[Span, ...]


def find_values(answer: Any, text: str) -> list[Found]:
    """Where `text` prints the values of `answer`, parsed JSON; offsets are in code points.

    Text is found whatever its case, white space, accents and quotes, as whole words; numbers and ISO dates as they are
    printed in many countries. Not looked for are truth values, texts of one or two characters, numbers of one digit.
    Values that are not found are left out.
    """
    page = _Page(text)
    found = ((field, page.places(value)) for field, value in _scalars(answer))
    return [Found(field, spans) for field, spans in found if spans]


def _scalars(answer: Any) -> Iterator[tuple[str, Scalar]]:
    """Each value with its path, in the order of the answer."""
    waiting: list[tuple[str, Any]] = [("", answer)]
    left = MOST_VALUES
    while waiting and left:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend(reversed([(f"{path}.{key}" if path else str(key), item) for key, item in items]))
        elif isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
            left -= 1
            yield path, value


class _Page:
    """A text, with its numbers and dates read once for all values."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._folded: Folded = fold(text)
        self._numbers = numbers(self._folded)
        self._dates = dates(self._folded)
        self._known: dict[tuple[type, Scalar], tuple[Span, ...]] = {}

    def places(self, value: Scalar) -> tuple[Span, ...]:
        """Answers repeat values: each is looked for once."""
        key = (type(value), value)
        if key not in self._known:
            spans = self._texts(value) if isinstance(value, str) else self._amounts(value)
            self._known[key] = tuple(dict.fromkeys(spans))[:MOST_SPANS]
        return self._known[key]

    def _texts(self, value: str) -> list[Span]:
        needle = folded(value)
        if len(needle) < _SHORTEST:
            return []
        spans = [self._folded.original(span) for span in self._folded.find(needle, _MOST_SEEN)]
        spans.sort(key=lambda span: (self._text[span.start : span.end] != value, span.start))
        if _PLAIN_NUMBER.fullmatch(value):
            spans += self._amounts(Decimal(value))
        return spans + self._days(value)

    def _days(self, value: str) -> list[Span]:
        match = _DAY.match(value)
        if match is None:
            return []
        try:
            day = datetime.date.fromisoformat(match[0])
        except ValueError:  # no such day
            return []
        return [self._folded.original(span) for span in self._dates.get(day, ())[:_MOST_SEEN]]

    def _amounts(self, value: float | Decimal) -> list[Span]:
        """Those with the most digits first: they say the value most exactly."""
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            return []
        spans = [self._folded.original(span) for span in self._numbers.get(number.copy_abs(), ())[:_MOST_SEEN]]
        return sorted(spans, key=lambda span: (span.start - span.end, span.start))
