"""Reads one property from a document: which kind of value it asks for, and where that stands."""

import datetime
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import money, parties, values
from .sheet import Sheet, fold
from .vocabulary import FREE_TEXT, IDENTIFIER, MONEY, ORGANISATION, SHARE

_NO = re.compile(r"\W*(?:no|non|nein|nee|false|none|not)\b")
_ID = re.compile(r"(?:[A-Z]{1,5} ){0,2}(?=[\w/.-]*\d)[A-Za-z0-9](?:[\w/.-]*[A-Za-z0-9])")
_ID_LEAD = re.compile(r"[\s:.#°º–-]*(?:(?:number|numero|num|nummer|no|nr|id|n)\b[\s:.#°º-]*)?", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")
_CENTRAL_WORD = 4  # letters: shorter words say little about what a text is about


@dataclass(frozen=True)
class Property:
    """One property to fill: its resolved schema and the labels to look for.

    `rivals` are its siblings' labels; `dated` those of siblings that are dates.
    """

    name: str
    spec: dict[str, Any]
    nullable: bool
    labels: tuple[str, ...]
    rivals: tuple[str, ...]
    dated: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.spec.get("type", "object" if "properties" in self.spec else "string"))

    @property
    def choices(self) -> list[Any]:
        return [self.spec["const"]] if "const" in self.spec else list(self.spec.get("enum", []))

    @property
    def description(self) -> str:
        return str(self.spec.get("description", ""))

    @cached_property
    def words(self) -> str:
        """Name and what the description says before its list of labels, folded."""
        said = self.description.split("Labelled:")[0]
        return fold(f"{self.name.replace('_', ' ')} {said}")


def read_value(prop: Property, sheet: Sheet) -> Any:
    """The value of a property that is neither an object nor an array; None when the document has none."""
    if prop.choices:
        return rank(prop, sheet.text)[0][1]
    match prop.kind:
        case "number" | "integer":
            found = _number(prop, sheet)
            return round(found) if found is not None and prop.kind == "integer" else found
        case "boolean":
            return _boolean(prop, sheet)
        case "null":
            return None
    text = _string(prop, sheet)
    return text[: prop.spec.get("maxLength", len(text))] if text else None


def rank(prop: Property, text: str) -> list[tuple[int, Any]]:
    """The choices with their share of words in the text, best first; without any sign, "other" and its like lead."""
    seen = Counter(_stem(word) for word in _WORD.findall(fold(text)))
    scored = []
    for choice in prop.choices:
        told = re.search(rf"\b{re.escape(str(choice))}\W*[:=(–-]\s*([^;\n)]*)", prop.description)
        words = {_stem(word) for word in _WORD.findall(fold(f"{choice} {told[1] if told else ''}".replace("_", " ")))}
        scored.append((sum(min(seen[word], 3) for word in words), choice))
    fallback = re.compile(r"other|unknown|none|general|misc", re.IGNORECASE)
    return sorted(scored, key=lambda s: (-s[0], not fallback.match(str(s[1]))))


def sentences(text: str, count: int) -> list[str]:
    """The most central sentences in the order of the text: those whose words the text uses most."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text)]
    parts = [" ".join(part.split()) for part in parts if len(part.split()) > 3] or [p for p in parts if p][:count]
    words = [{w for w in _WORD.findall(fold(part)) if len(w) >= _CENTRAL_WORD} for part in parts]
    used = Counter(word for some in words for word in some)
    weight = [sum(used[word] for word in some) / (len(some) + 3) for some in words]
    best = sorted(range(len(parts)), key=lambda at: (-weight[at], at))[:count]
    return [parts[at] for at in sorted(best)]


def _stem(word: str) -> str:
    return word[:5]


def _number(prop: Property, sheet: Sheet) -> float | None:
    if SHARE.search(prop.words):
        low, high = prop.spec.get("minimum", 0), prop.spec.get("maximum", 1)
        # As sure as rules can be: sure enough with text to go by, not at all without.
        return float(low + (high - low) * (0.7 if sheet.text.strip() else 0))
    if MONEY.search(prop.words):
        return money.read(prop, sheet)
    found = sheet.find(prop.labels, prop.rivals, _first_number)
    return found[0] if found else None


def _first_number(text: str) -> float | None:
    found = re.match(r"[^\d]{0,12}?(-?\d+(?:[.,]\d+)?)(?![\d/])", text)
    return float(found[1].replace(",", ".")) if found else None


def _boolean(prop: Property, sheet: Sheet) -> bool | None:
    said = sheet.find(prop.labels, prop.rivals, lambda text: not _NO.match(fold(text)))
    return said[0] if said else None


def _string(prop: Property, sheet: Sheet) -> str | None:
    form, pattern = prop.spec.get("format", ""), prop.spec.get("pattern", "")
    if form in ("date", "date-time"):
        return _date(prop, sheet, "T00:00:00Z" if form == "date-time" else "")
    if "currency" in prop.words or pattern == "^[A-Z]{3}$":
        return values.currency(sheet.text)
    if re.search(r"\baddress\b", prop.words) and "mail" not in prop.words:
        return parties.address(sheet)
    if IDENTIFIER.search(fold(prop.name.replace("_", " "))) or pattern == r"\d":
        found = sheet.find(prop.labels, prop.rivals, lambda text: _identifier(text, pattern))
        return found[0] if found else None
    if ORGANISATION.search(prop.words):
        head = bool(re.search(r"\b(?:head|top|shop|store)\b", prop.words))
        return parties.organisation(sheet, prop.labels, head)
    found = sheet.find(prop.labels, prop.rivals, lambda text: _labelled_text(text, pattern))
    if found:
        return found[0]
    if FREE_TEXT.search(prop.words):
        return " ".join(sentences(sheet.text, 2))
    first = next((line.strip() for line in sheet.lines if line.strip()), None)
    return first if re.search(r"\b(?:title|subject|headline)\b", prop.words) else None


def _date(prop: Property, sheet: Sheet, tail: str) -> str | None:
    first = values.month_first(sheet.text)

    def parse(text: str) -> datetime.date | None:
        found = values.dates(text, first)
        return found[0][2] if found else None

    labelled = sheet.find(prop.labels, prop.rivals, parse)
    if not labelled and not prop.nullable:
        # A date that must be there is the first one that isn't labelled as another.
        others = set(sheet.find(prop.dated, (), parse))
        labelled = [day for *_, day in values.dates(sheet.text, first) if day not in others]
    return labelled[0].isoformat() + tail if labelled else None


def _identifier(text: str, pattern: str) -> str | None:
    """The token with a digit right at the start, or nothing: "Invoice for 3 nights" has no number."""
    rest = text[_ID_LEAD.match(text).end() :] if _ID_LEAD.match(text) else text  # type: ignore[union-attr]
    found = _ID.match(rest)
    days = values.dates(rest)
    if found is None or (days and days[0][0] == 0) or len(found[0]) < 3 or re.match(r"\d+[ ]?%|\d+[.,]\d\d\b", rest):
        return None
    return found[0] if re.search(pattern, found[0]) else None


def _labelled_text(text: str, pattern: str) -> str | None:
    value = re.split(r"\s{2,}", text.strip(" \t:#–-"))[0]
    return value if value and not value.endswith(":") and re.search(pattern, value) else None
