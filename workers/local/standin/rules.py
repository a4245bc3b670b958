"""Answers by rules: a JSON schema and a document in, a value for each property out. No I/O, no state, no model."""

import re
from collections.abc import Callable
from typing import Any

from . import lists, parties, values
from .choices import certainty, choose
from .fold import fold
from .prose import cue, joined
from .shapes import DEEPEST, Property, Schema, properties, resolve
from .sheet import Sheet

_NO = re.compile(r"\W*(?:no|non|nein|nee|false|none|not)\b")
_ID = re.compile(
    r"[\s:.#°º–-]{0,20}(?:(?i:number|numero|num|nummer|no|nr|id|n)\b[\s:.#°º-]{0,20})?"
    r"((?:[A-Z]{1,5} ){0,2}(?=[\w/.-]{0,40}\d)\w[\w/.-]+\w)(?! ?%|[.,]\d\d\b)"
)
# What a property asks for, by its name and description; and what is no money or not the final total.
_IDENTIFIER = re.compile(r"\b(?:number|no|nr|id|code|reference|ref|iban|serial)\b")
_ORGANISATION = re.compile(
    r"\b(?:company|issuer|shop|seller|vendor|supplier|merchant|organi[sz]ation|business|store)\b"
)
_MONEY = re.compile(r"\b(?:amount|total|price|tax|taxes|vat|cost|fee|balance|subtotal|paid)\b")
_FINAL = re.compile(r"\b(?:pay|paid|included)\b")
_DUE = re.compile(r"\b(?:due|last|until|expir\w+)\b")
_CENTS = 0.05
_LONGEST_ITEM = 500
_FREE_TEXT = re.compile(r"\b(?:summar\w+|abstract|overview|description|notes?|reason\w*|rationale|text|about)\b")
_COUNT = re.compile(r"\b(?:qty|quant\w*|items?|pcs|id|no|nr|number|reg|code|discount|points?|pages?|nights?)\b")
_PART = re.compile(r"\W*(?:excl|before|hors|ht\b|nett?o?\b|(?:gst|tax|vat|sst|mwst)\b(?!\W*inc)|adj|disc|sub)")


def answer(schema: Schema, document: str) -> dict[str, Any]:
    """A value for each property of the object `schema`: null, or empty of its type, where the document has none."""
    return _object(resolve(schema, schema), schema, Sheet(document), 0)


def summary(document: str) -> str:
    """A few sentences of the document: the reply where no schema is asked for."""
    return " ".join(sentence.told for sentence in Sheet(document).prose.central(3)) or "The document is empty."


def _object(spec: Schema, root: Schema, sheet: Sheet, depth: int) -> dict[str, Any]:
    wanted = properties(spec, root)
    filled = {prop.name: _value(prop, root, sheet, depth) for prop in wanted}
    chosen = [certainty(prop, sheet.text) for prop in wanted if len(prop.choices) > 1]
    for prop in wanted:
        if prop.is_share and chosen:
            filled[prop.name] = prop.share(min(chosen))
    return _agree(filled, wanted)


def _agree(filled: dict[str, Any], wanted: list[Property]) -> dict[str, Any]:
    """Drops optional values that contradict required ones: parts that don't add up, a due date before the date."""
    sure = {prop: filled[prop.name] for prop in wanted if not prop.spec.get("nullable")}
    parts = [p for p in wanted if p not in sure and _MONEY.search(p.words) and isinstance(filled[p.name], float)]
    totals = [value for prop, value in sure.items() if _FINAL.search(prop.words) and isinstance(value, float)]
    if len(parts) == 2 and totals and abs(sum(filled[part.name] for part in parts) - totals[0]) > _CENTS:
        filled = {**filled, **dict.fromkeys((part.name for part in parts), None)}
    days = [str(value) for prop, value in sure.items() if prop.spec.get("format") == "date"]
    late = [p.name for p in wanted if p not in sure and p.spec.get("format") == "date" and _DUE.search(p.words)]
    early = [name for name in late if days and (filled[name] or days[0]) < days[0]]
    return {**filled, **dict.fromkeys(early, None)}


def _value(prop: Property, root: Schema, sheet: Sheet, depth: int) -> Any:
    if prop.choices:
        return choose(prop, sheet.text)
    found: Any = None
    if prop.kind in ("object", "array") and depth < DEEPEST:
        found = (
            _list(prop, root, sheet, depth + 1) if prop.kind == "array" else _object(prop.spec, root, sheet, depth + 1)
        )
    elif prop.kind == "boolean":
        found = _first(prop, sheet, lambda text: not _NO.match(fold(text)))
    elif prop.kind in ("number", "integer", "string"):
        found = _string(prop, sheet) if prop.kind == "string" else _number(prop, sheet)
    return prop.nothing if found is None else found


def _list(prop: Property, root: Schema, sheet: Sheet, depth: int) -> Any:
    """Sentences, or objects made of them; of anything else only as many as must be."""
    one, least = prop.item(root), prop.spec.get("minItems", 0)
    if prop.name == "sources" and one.kind == "integer":
        return [1]  # there is one part to come from
    if one.kind == "string" and not one.choices:
        texts = [one.fit(sentence.told[:_LONGEST_ITEM]) for sentence in lists.fitting(prop, sheet.prose)]
        return texts or prop.nothing
    if one.kind == "object":
        return lists.items(prop, root, sheet.prose, lambda part, text: _value(part, root, Sheet(text), depth))
    return [_value(one, root, sheet, depth) for _ in range(max(least, bool(one.choices)))]


def _first(prop: Property, sheet: Sheet, parse: Callable[[str], Any]) -> Any:
    return next(iter(sheet.find(prop.labels, prop.rivals, parse)), None)


def _number(prop: Property, sheet: Sheet) -> float | None:
    if prop.is_share:
        # As sure as rules can be: sure enough with text to go by, not at all without.
        return prop.share(0.7 if sheet.text.strip() else 0)
    if _MONEY.search(prop.words):
        return _money(prop, sheet)
    found = _first(prop, sheet, re.compile(r"[^\d]{0,12}?(-?\d+(?:[.,]\d+)?)(?![\d/])").match)
    value = float(found[1].replace(",", ".")) if found else None
    return round(value) if value is not None and prop.spec["type"] == "integer" else value


def _money(prop: Property, sheet: Sheet) -> float | None:
    """The largest of the labelled amounts; of a final total, one that cash and change or the rounding confirm."""
    final = bool(_FINAL.search(prop.words))

    def last(text: str) -> float | None:
        # The right-most amount beside a label: unit prices and rates come before it.
        if _COUNT.search(re.split(r"\d", fold(text))[0]) or (final and _PART.match(fold(text))):
            return None
        return next(reversed(values.amounts(text)), None)

    found = sheet.find(prop.labels, prop.rivals, last)
    if not final or not found:
        return max(found, default=None)
    cash, change, shifts = (sheet.find([label], (), last) for label in ("cash", "change", "rounding"))
    told = [round(a - b, 2) for a, b in zip(cash, change, strict=False)] + [round(max(found) + by, 2) for by in shifts]
    printed = {amount for line in sheet.lines for amount in values.amounts(line)} if told else set()
    return next((sure for sure in told if sure in printed), max(found))


def _string(prop: Property, sheet: Sheet) -> str | None:
    form, pattern = prop.spec.get("format", ""), prop.spec.get("pattern", "")
    text: str | None = None
    if form in ("date", "date-time"):
        return _date(prop, sheet, "T00:00:00Z" if form == "date-time" else "")
    if "currency" in prop.words:
        text = values.currency(sheet.text)
    elif re.search(r"\baddress\b", prop.words) and "mail" not in prop.words:
        text = parties.address(sheet)
    elif _IDENTIFIER.search(prop.name.replace("_", " ")) or pattern == r"\d":
        text = _first(prop, sheet, lambda beside: _identifier(beside, pattern))
    elif _ORGANISATION.search(prop.words):
        text = parties.organisation(sheet, prop.labels, bool(re.search(r"\b(?:head|top|shop|store)\b", prop.words)))
    elif lists.is_when(prop):
        text = _first(prop, sheet, lists.when) or _first(prop, sheet, lambda beside: _beside(beside, r"\s*:")) or None
        text = text or lists.when(sheet.text)
    elif prop.said or _FREE_TEXT.search(prop.words):
        text = _first(prop, sheet, lambda beside: _beside(beside, r"\s*[:#–]")) or _free_text(prop, sheet)
    else:
        text = _first(prop, sheet, _beside)
    return prop.fit(text) if text else None


def _beside(text: str, mark: str = "") -> str | None:
    """What stands beside a label, up to the next gap, where `mark` begins it."""
    return re.split(r"\s{2,}", text.strip(" \t:#–-"))[0] or None if re.match(mark, text) else None


def _free_text(prop: Property, sheet: Sheet) -> str:
    """The sentences with the phrases that the description lists, else the most central ones; as many as fit."""
    prose = sheet.prose
    most = prop.spec.get("maxLength", _LONGEST_ITEM)
    count = 1 if "one sentence" in prop.words else min(5, 2 + len(prose.sentences) // 40, 1 + most // 200)
    found = (prose.best(count, cue(prop.said)) if prop.said else []) or prose.central(count)
    return joined([sentence.told for sentence in found], prop.spec.get("maxLength"))


def _identifier(text: str, pattern: str) -> str | None:
    found = _ID.match(text)
    if not found or any(start <= found.start(1) < end for start, end, _ in values.dates(text)):
        return None
    return found[1] if re.search(pattern, found[1]) else None


def _date(prop: Property, sheet: Sheet, tail: str) -> str | None:
    order = values.month_first(sheet.text)
    found = _first(prop, sheet, lambda text: next(iter(values.dates(text, order)), None))
    # A date that must be there is the first one, even without a label.
    found = found or next((day for day in values.dates(sheet.text, order) if not prop.spec.get("nullable")), None)
    return f"{found[2].isoformat()}{tail}" if found else None
