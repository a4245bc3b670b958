"""Dates, amounts, currencies and numbers as documents print them."""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from babel.core import get_global
from babel.dates import get_month_names

from .sheet import fold

_LANGUAGES = ("en", "en_GB", "de", "fr", "es", "it", "nl", "pt")
_NUMERIC = re.compile(r"(?<![\w/.,-])(\d{1,4}) ?([-/.年]) ?(\d{1,2}) ?([-/.月]) ?(\d{1,4})(?![\d/]|[.,-]\d)")
_AMERICA = re.compile(r"\b(?:USA|U\.S\.A?\.?|United States|US\$|USD)(?!\w)|\b[A-Z]{2},? \d{5}(?:-\d{4})?\b")
_TIME = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b")
_DIGITS = r"\d{1,3}(?:[.,'’\u00a0\u202f]\d{2,3})*(?:[.,'’\u00a0\u202f]\d{3})|\d{1,3}(?: \d{3})+(?=[.,]\d{2}(?!\d))|\d+"
_AMOUNT = re.compile(
    rf"(?<![\w.,/*-])(?<!\d[ ])([-−]? ?)((?:{_DIGITS})(?:[.,]\d{{1,2}}(?!\d))?)(?![\d%/]| ?%|[.,]\d)(-(?!\d))?"
)
_PRINTED = (
    "US$=USD CA$=CAD C$=CAD AU$=AUD A$=AUD HK$=HKD NZ$=NZD S$=SGD R$=BRL MX$=MXN NT$=TWD $=USD dollars=USD €=EUR"
    " Euros=EUR Euro=EUR euros=EUR euro=EUR £=GBP ₹=INR Rs.=INR Rs=INR RM=MYR zł=PLN Kč=CZK Ft=HUF kr.=SEK kr=SEK"
    " Fr.=CHF SFr.=CHF Rp=IDR ₩=KRW ¥=JPY ₽=RUB ₺=TRY ₪=ILS ฿=THB ₫=VND ₱=PHP"
)
_SYMBOLS = dict(pair.split("=") for pair in _PRINTED.split())
_COUNTRIES = {  # whose "$" or "kr" it is
    "$": {"CAD": r"\bcanada\b", "AUD": r"\baustralia\b|\babn\b", "SGD": r"\bsingapore\b", "HKD": r"\bhong kong\b"},
    "kr": {"DKK": r"\bdanmark\b|\bdenmark\b|\bcvr\b", "NOK": r"\bnorge\b|\bnorway\b|\bmva\b"},
}


@cache
def _months() -> dict[str, int]:
    names: dict[str, int] = {}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    names[fold(name).rstrip(".")] = number
    return names


@cache
def _written() -> re.Pattern[str]:
    month = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    day, year = r"(?P<{}>\d{{1,2}})", r"(?P<{}>\d{{4}}|\d{{2}}(?![\d:]))"
    first = day.format("d1") + rf"(?:st|nd|rd|th|er|[.º°])?[\s,/-]*(?:of |de |d')?\s*(?P<m1>{month})\b"
    first += r"[\s.,/'-]*(?:del? )?\s*" + year.format("y1")
    second = rf"\b(?P<m2>{month})\b[\s.]*" + day.format("d2") + r"(?:st|nd|rd|th)?[\s,]+" + year.format("y2")
    return re.compile(rf"(?<!\d){first}(?!\d)|{second}(?!\d)")


def dates(text: str, month_first: bool = False) -> list[tuple[int, int, datetime.date]]:
    """Every date with where it stands (start, end), left to right. `month_first` settles 04/05/2024."""
    found = []
    for m in _written().finditer(fold(text)):
        day, month, year = (m["d1"], m["m1"], m["y1"]) if m["d1"] else (m["d2"], m["m2"], m["y2"])
        found.append((m.start(), m.end(), _date(int(year), _months()[month], int(day))))
    for m in _NUMERIC.finditer(text):
        found.append((m.start(), m.end(), _numeric(m, month_first)))
    return sorted((start, end, date) for start, end, date in found if date)


def _numeric(m: re.Match[str], month_first: bool) -> datetime.date | None:
    first, middle, last = int(m[1]), int(m[3]), int(m[5])
    if m[2] != m[4] and m[2] != "年":
        return None
    if len(m[1]) == 4 and len(m[5]) <= 2:
        return _date(first, middle, last)
    if len(m[1]) > 2 or len(m[5]) not in (2, 4):
        return None
    month_first = middle > 12 or (month_first and first <= 12)
    return _date(last, first, middle) if month_first else _date(last, middle, first)


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year + 2000 if year < 70 else year + 1900 if year < 100 else year, month, day)
    except ValueError:
        return None


def month_first(text: str) -> bool:
    """Whether the document writes the month before the day: a part above 12 says so, else signs of the country."""
    for m in _NUMERIC.finditer(text):
        if len(m[1]) <= 2 and int(m[1]) > 12:
            return False
        if len(m[1]) <= 2 and int(m[3]) > 12:
            return True
    return bool(_AMERICA.search(text))


def amounts(text: str) -> list[float]:
    """Amounts left to right; those with cents or a currency sign alone when there are any. No dates, no percentages."""
    for start, end, _ in dates(text):
        text = text[:start] + "@" * (end - start) + text[end:]
    text = _marks().sub(r"\g<0> ", _TIME.sub("@", text))  # "RM5" is an amount, "B5" is not
    found = [(_value(m), bool(re.search(r"[.,]\d{2}$", m[2])) or _priced(text, m)) for m in _AMOUNT.finditer(text)]
    if any(strong for _, strong in found):
        return [value for value, strong in found if strong]
    # A bare whole number is an amount only where nothing else is said.
    return [value for value, _ in found] if re.fullmatch(r"[\W\d_]*", text) else []


def _priced(text: str, m: re.Match[str]) -> bool:
    before, after = text[max(0, m.start() - 6) : m.start()].rstrip(), text[m.end() : m.end() + 7].lstrip()
    return bool(_marks().search(before + " ") and _marks_at_end(before)) or bool(_marks().match(after))


@cache
def _marks() -> re.Pattern[str]:
    tenders = get_global("territory_currencies").values()
    codes = {code for owned in tenders for code, _, end, tender in owned if tender and not end}
    marks = sorted({*_SYMBOLS, *codes}, key=lambda mark: (-len(mark), mark))
    first = "".join(sorted({re.escape(mark[0]) for mark in marks}))  # passes over most text at a glance
    return re.compile(rf"(?=[{first}])(?<![^\W\d_])(?<![^\W\d_]\d)(?:{'|'.join(map(re.escape, marks))})(?![^\W\d_])")


def _marks_at_end(text: str) -> bool:
    return any(m.end() == len(text) for m in _marks().finditer(text))


def _value(m: re.Match[str]) -> float:
    digits = re.sub(r"[\s'’]", "", m[2])
    separators = re.findall(r"[.,]", digits)
    last = digits.rfind(separators[-1]) if separators else len(digits)
    whole = len(digits) - last - 1 == 3 and not digits.startswith("0")  # "1.234" is a thousand, "0.125" isn't
    if separators and not (whole or separators.count(separators[-1]) > 1):
        digits = re.sub(r"[.,]", "", digits[:last]) + "." + digits[last + 1 :]
    else:
        digits = re.sub(r"[.,]", "", digits)
    return -float(digits) if m[1].strip() or m[3] else float(digits)


def currency(text: str) -> str | None:
    """ISO 4217 code of the sign or code seen most; next to a number counts more."""
    votes: Counter[str] = Counter()
    for mark, near in _mark_uses(text):
        votes[_owner(mark, text)] += 5 if near else 1
    return votes.most_common(1)[0][0] if votes else None


def _mark_uses(text: str) -> Iterator[tuple[str, bool]]:
    for m in _marks().finditer(text):
        near = re.search(r"\d[ ]?$", text[: m.start()][-2:]) or re.match(r"[ .:]{0,2}-?\d", text[m.end() : m.end() + 4])
        # A word of capitals may look like a code: away from numbers, only in brackets or after "in".
        if near or m[0] in _SYMBOLS or re.search(r"(?:[(\[]|\bin |[a-z] )$", text[: m.start()][-4:]):
            yield m[0], bool(near)


def _owner(mark: str, text: str) -> str:
    for code, sign in _COUNTRIES.get(mark.rstrip("."), {}).items():
        if re.search(sign, text, re.IGNORECASE):
            return code
    return _SYMBOLS.get(mark, mark)
