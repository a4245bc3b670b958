"""Dates, amounts and currencies as documents print them."""

import datetime
import re
from collections import Counter
from functools import cache
from itertools import islice

from babel import Locale
from babel.dates import get_month_names

from .fold import fold

_MOST = 500  # dates of one text: more say no more
_LANGUAGES = ("en", "en_GB", "de", "fr", "es", "it", "nl", "pt")
_FORMS = ("%Y/%m/%d", "%d %m %Y", "%d %m %y", "%d/%m/%Y", "%d/%m/%y", "%m/%d/%Y", "%m/%d/%y")
_NUMERIC = re.compile(r"(?<![\w/.,-])(\d{1,4}) ?([-/.]) ?(\d{1,2}) ?\2 ?\d{1,4}(?![\d/]|[.,-]\d)")
_AMERICA = re.compile(r"\b(?:USA|U\.S\.A?\.?|United States|US\$|USD)(?!\w)|\b[A-Z]{2},? \d{5}(?:-\d{4})?\b")
_DIGITS = r"\d{1,3}(?:[.,'’\u00a0\u202f]\d{2,3})*[.,'’\u00a0\u202f]\d{3}|\d{1,3}(?: \d{3})+(?=[.,]\d{2}(?!\d))|\d+"
_AMOUNT = re.compile(  # "¤" stands for any mark of a currency
    r"(?<![\w.,/*:-])(?<!\d )(?P<minus>[-−])? ?(?P<sign>¤)?[ .]?[-−]? ?"
    rf"(?P<whole>{_DIGITS})(?:[.,](?P<cents>\d{{1,2}})(?!\d))?(?![\d%/:]| ?%|[.,]\d)(?P<unit> ?¤)?"
)
_SIGNS = "$=USD RM=MYR Rs=INR Rs.=INR zł=PLN Kč=CZK Ft=HUF kr=SEK Fr.=CHF S$=SGD C$=CAD Euro=EUR euro=EUR Euros=EUR"


@cache
def _months() -> dict[str, int]:
    tables = [get_month_names(width, "format", name) for name in _LANGUAGES for width in ("wide", "abbreviated")]
    return {fold(name).rstrip("."): number for table in tables for number, name in table.items()}


@cache
def _written() -> re.Pattern[str]:
    month = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    day, year = r"(\d{1,2})(?:st|nd|rd|th|er|[.º°])?", r"(\d{4}|\d{2}(?![\d:]))(?!\d)"
    first = rf"(?<!\d){day}[\s,/-]{{0,3}}(?:of |de )?({month})\b[\s.,/'-]{{0,3}}(?:del? )?{year}"
    return re.compile(rf"{first}|\b({month})\b[\s.]{{0,3}}{day}[\s,]{{1,3}}{year}")


def dates(text: str, month_first: bool = False) -> list[tuple[int, int, datetime.date]]:
    """Every date with where it starts and ends, left to right. `month_first` settles 04/05/2024."""
    found = [(m.span(), re.sub(r"[-. /]+", "/", m[0])) for m in islice(_NUMERIC.finditer(text), _MOST)]
    for m in islice(_written().finditer(fold(text)), _MOST):
        day, month, year = m.groups()[:3] if m[1] else (m[5], m[4], m[6])
        found.append((m.span(), f"{day} {_months()[month]} {year}"))
    forms = sorted(_FORMS, key=lambda form: month_first and not form.startswith("%m"))
    days = ((*span, _date(printed, forms)) for span, printed in found)
    return sorted((start, end, day) for start, end, day in days if day)


def _date(printed: str, forms: list[str]) -> datetime.date | None:
    for form in forms:
        try:
            return datetime.datetime.strptime(printed, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


def month_first(text: str) -> bool:
    """Whether the document writes the month before the day: a part above 12 says so, else signs of the country."""
    for m in _NUMERIC.finditer(text):
        if len(m[1]) <= 2 and max(int(m[1]), int(m[3])) > 12:
            return int(m[3]) > 12
    return bool(_AMERICA.search(text))


@cache
def _codes() -> dict[str, str]:
    signs = {sign: code for code, sign in Locale("en").currency_symbols.items()}
    return {code: code for code in Locale("en").currencies} | signs | dict(pair.split("=") for pair in _SIGNS.split())


@cache
def _mark() -> re.Pattern[str]:
    signs = sorted((sign for sign in _codes() if not re.fullmatch("[A-Z]{3}", sign)), key=len, reverse=True)
    return re.compile(rf"(?<![^\W\d_])(?<![^\W\d_]\d)(?:{'|'.join(map(re.escape, signs))}|[A-Z]{{3}})(?![^\W\d_])")


def amounts(text: str) -> list[float]:
    """Amounts left to right; those with cents or a currency sign alone when there are any. No dates, no percentages."""
    for start, end, _ in dates(text):
        text = text[:start] + "@" * (end - start) + text[end:]
    text = _mark().sub(lambda m: "¤" if m[0] in _codes() else m[0], text)
    found = [(m, float(f"{re.sub('[^0-9]', '', m['whole'])}.{m['cents'] or 0}")) for m in _AMOUNT.finditer(text)]
    signed = [(-value if m["minus"] else value, m["sign"] or m["cents"] or m["unit"]) for m, value in found]
    # A bare whole number is an amount only where nothing else is said.
    bare = re.fullmatch(r"[\W\d_]*", text) and not any(sure for _, sure in signed)
    return [value for value, sure in signed if sure or bare]


def currency(text: str) -> str | None:
    """ISO 4217 code of the sign or code seen most; next to a number counts more."""
    votes: Counter[str] = Counter()
    for m in _mark().finditer(text):
        before, after = text[max(0, m.start() - 2) : m.start()], text[m.end() : m.end() + 4]
        near = re.search(r"\d ?$", before) or re.match(r"[ .:]{0,2}-?\d", after)
        # A word of capitals may look like a code: away from numbers, only in brackets or after a small letter.
        if m[0] in _codes() and (near or not m[0].isupper() or re.search(r"[(\[]$|[a-z] $", before)):
            votes[_codes()[m[0]]] += 5 if near else 1
    return votes.most_common(1)[0][0] if votes else None
