"""Numbers and dates as documents print them, in many countries' ways."""

import datetime
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from babel import Locale

from activities.documents.folding import Folded, Span, folded

_LANGUAGES: Final = ("en", "de", "fr", "it", "es", "nl")
_NUMBER: Final = re.compile(r"\d+(?:[.,']\d+)*")
# From each group on, so that the item number before "5 1 234,50" doesn't hide the amount.
_SPACED: Final = re.compile(r"(?<!\d)(?=([1-9]\d{0,2}(?: \d{3}){1,5}(?:[.,]\d+)?)(?!\d))")
_LONGEST_NUMBER: Final = 40
_DATE: Final = re.compile(r"(?<!\d)(\d{4}|\d{1,2})( ?[./-] ?)(\d{1,2})\2(\d{4}|\d{1,2})(?!\d)")
_YEARS_ONLY: Final = 4  # digits


def numbers(text: Folded) -> Mapping[Decimal, list[Span]]:
    """Where each number is printed, without its sign. "1.234" is two: nobody knows what its point means.

    Spans are those of the folded text. A single digit is evidence of nothing and left out. A number that may be part of
    one with spaces is told only where there is no other.
    """
    found: dict[Decimal, list[Span]] = defaultdict(list)
    parts: dict[Decimal, list[Span]] = defaultdict(list)
    end_of_spaced = 0
    spaced = _spaced(text)
    for match in _NUMBER.finditer(text.text):
        span = Span(*match.span())
        end_of_spaced = max(end_of_spaced, spaced.get(span.start, 0))
        if 1 < len(match[0]) <= _LONGEST_NUMBER and text.is_whole(span):
            for value in _readings(match[0]):
                (parts if span.start < end_of_spaced else found)[value].append(span)
    for start, end in spaced.items():
        for value in _readings(text.text[start:end].replace(" ", "'")):
            found[value].append(Span(start, end))
    return parts | found


def _spaced(text: Folded) -> dict[int, int]:
    """Start and end of each number with spaces between its groups."""
    found = {}
    for match in _SPACED.finditer(text.text):
        span = Span(*match.span(1))
        start, end = text.original(span)
        # Wider gaps are between columns.
        if end - start == span.end - span.start and text.is_whole(span):
            found[span.start] = span.end
    return found


def _readings(printed: str) -> Iterator[Decimal]:
    marks = [character for character in printed if not character.isdigit()]
    if not marks:
        if printed[0] != "0":
            yield Decimal(printed)
        return
    whole, mark, fraction = printed.rpartition(marks[-1])
    if mark != "'" and mark not in whole and _is_grouped(whole):
        yield Decimal(f"{_digits(whole)}.{fraction}")
    if len(set(marks)) == 1 and printed[0] != "0" and _is_grouped(printed):
        yield Decimal(_digits(printed))


def _is_grouped(printed: str) -> bool:
    """Whether it is digits alone, or in groups by one mark: of three, or as in India of two and three at the end."""
    first, *groups = re.split("[.,']", printed)
    if not groups:
        return True
    marks = {character for character in printed if not character.isdigit()}
    middle = {len(group) for group in groups[:-1]}
    return len(marks) == 1 and len(first) <= 3 and len(groups[-1]) == 3 and (middle <= {3} or middle == {2})


def _digits(printed: str) -> str:
    return re.sub("[.,']", "", printed)


def dates(text: Folded) -> Mapping[datetime.date, list[Span]]:
    """Where each day is printed. "03/04/2021" is two. Spans are those of the folded text."""
    found: dict[datetime.date, list[Span]] = defaultdict(list)
    for match in _DATE.finditer(text.text):
        first, middle, last = match[1], match[3], match[4]
        is_iso = len(first) == _YEARS_ONLY
        orders = ((first, middle, last),) if is_iso else ((last, middle, first), (last, first, middle))
        for day in {day for order in orders for day in _days(*order)}:
            found[day].append(Span(*match.span()))
    months = _months()
    for pattern in _worded():
        for match in pattern.finditer(text.text):
            for day in _days(match["year"].lstrip("'"), str(months[match["month"]]), match["day"]):
                found[day].append(Span(*match.span()))
    return found


def _days(year: str, month: str, day: str) -> Iterator[datetime.date]:
    """The days that it may be: a year of two digits is of this century or the last."""
    for century in (0,) if len(year) == _YEARS_ONLY else (1900, 2000):
        try:
            yield datetime.date(century + int(year), int(month), int(day))
        except ValueError:  # no such day
            continue


@cache
def _months() -> Mapping[str, int]:
    """The month for each name that it has, folded and without full stops."""
    found: dict[str, int] = {}
    for language in _LANGUAGES:
        names = Locale(language).months
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                found |= {folded(name).rstrip("."): number for number, name in names[context][width].items()}
    return found | {"sept": 9, "mrz": 3}


@cache
def _worded() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Dates with the name of the month: "4. März 2021", "le 1er mars 2021", "4 de marzo de 2021", "March 4th, 2021"."""
    month = "(?P<month>" + "|".join(sorted(map(re.escape, _months()), key=len, reverse=True)) + r")\b\.?"
    day = r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|[.º°ªo])?"
    year = r"(?P<year>\d{4}|'?\d{2})(?!\d)"
    return (
        re.compile(rf"{day}[ -]?(?:(?:de|di|of) )?{month},?[ -]?(?:del? )?{year}"),
        re.compile(rf"\b{month} {day},? {year}"),
    )
