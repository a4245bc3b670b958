"""Answers by rules: a JSON schema and a document in, a value for each property out. No I/O, no state, no model."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from . import parties, values
from .sheet import Sheet, fold

Schema = dict[str, Any]

_DEEPEST = 6
_LABELLED = re.compile(r"Labelled:\s*(.*?)(?:\.(?=\s+[A-Z])|\.?\s*$)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{3,}")
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
_SHARE = re.compile(r"\b(?:confidence|probability|certainty|likelihood|score)\b")
_FREE_TEXT = re.compile(r"\b(?:summar\w+|abstract|overview|description|notes?|reason\w*|rationale|text|about)\b")
_COUNT = re.compile(r"\b(?:qty|quant\w*|items?|pcs|id|no|nr|number|reg|code|discount|points?|pages?|nights?)\b")
_PART = re.compile(r"\W*(?:excl|before|hors|ht\b|nett?o?\b|(?:gst|tax|vat|sst|mwst)\b(?!\W*inc)|adj|disc|sub)")
# The honest nothing of a type: it keeps the type's promise, not the rest of the schema's.
_NOTHING = {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}


@dataclass(frozen=True, eq=False)
class Property:
    """One property to fill: its resolved schema, the labels to look for, and those of its siblings."""

    name: str
    spec: Schema
    labels: tuple[str, ...]
    rivals: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Name and what the description says before its list of labels, folded."""
        return fold(f"{self.name.replace('_', ' ')} {self.spec.get('description', '').split('Labelled:')[0]}")


def answer(schema: Schema, document: str) -> dict[str, Any]:
    """A value for each property of the object `schema`: null, or empty of its type, where the document has none."""
    return _object(_resolve(schema, schema), schema, Sheet(document), 0)


def summary(document: str) -> str:
    """A few sentences of the document: the reply where no schema is asked for."""
    return " ".join(_sentences(Sheet(document).text, 3)) or "The document is empty."


def _resolve(spec: Schema, root: Schema) -> Schema:
    """The schema without references and unions; `nullable` says whether it allows null."""
    for _ in range(_DEEPEST):  # a reference may lead to a reference; a cycle ends here
        options = [option for key in ("anyOf", "oneOf", "allOf") for option in spec.get(key, [])]
        if isinstance(spec.get("type"), list):
            options = [{"type": kind} for kind in spec["type"]]
        if "$ref" in spec:
            options = [reduce(lambda at, part: at[part], spec["$ref"].removeprefix("#/").split("/"), root)]
        if not options:
            break
        nullable = spec.get("nullable", False) or {"type": "null"} in options
        # What stands beside a reference, a description above all, says more than what it leads to.
        own = {key: spec[key] for key in spec if key not in ("$ref", "anyOf", "oneOf", "allOf", "type")}
        spec = {**next((o for o in options if o != {"type": "null"}), {}), **own, "nullable": nullable}
    return spec


def _object(spec: Schema, root: Schema, sheet: Sheet, depth: int) -> dict[str, Any]:
    specs = {name: _resolve(part, root) for name, part in spec.get("properties", {}).items()}
    labels: dict[str, tuple[str, ...]] = {}
    for name, part in specs.items():  # best first: those that the description lists, then the property's own name
        listed = _LABELLED.search(part.get("description", ""))
        names = [*(listed[1].split(",") if listed else []), name.replace("_", " ")]
        labels[name] = tuple(label.strip().casefold() for label in names if label.strip())
    rivals = {name: tuple(label for other in labels if other != name for label in labels[other]) for name in labels}
    wanted = [Property(name, part, labels[name], rivals[name]) for name, part in specs.items()]
    return _agree({prop.name: _value(prop, root, sheet, depth) for prop in wanted}, wanted)


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
    if choices := prop.spec.get("enum") or [prop.spec[key] for key in prop.spec if key == "const"]:
        return _choice(prop, choices, sheet.text)
    kind = prop.spec.get("type", "object" if "properties" in prop.spec else "string")
    found: Any = None
    if kind in ("object", "array") and depth < _DEEPEST:
        found = (_object if kind == "object" else _array)(prop.spec, root, sheet, depth + 1)
    elif kind == "boolean":
        found = _first(prop, sheet, lambda text: not _NO.match(fold(text)))
    elif kind in ("number", "integer", "string"):
        found = _string(prop, sheet) if kind == "string" else _number(prop, sheet)
    return found if found is not None or prop.spec.get("nullable") else _NOTHING.get(kind, "")


def _array(spec: Schema, root: Schema, sheet: Sheet, depth: int) -> list[Any]:
    """Sentences for strings; of anything else only as many as must be."""
    item = _resolve({"description": spec.get("description", ""), **spec.get("items", {})}, root)
    least, most = spec.get("minItems", 0), spec.get("maxItems", 3)
    if item.get("type") == "string" and not item.keys() & {"enum", "const"}:
        return [text[: item.get("maxLength", 500)] for text in _sentences(sheet.text, max(least, min(most, 3)))]
    return [_value(Property("", item, ()), root, sheet, depth) for _ in range(max(least, "enum" in item))]


def _choice(prop: Property, choices: list[Any], text: str) -> Any:
    """The choice that shares most words, its description's included, with the text; without any, "other" or so."""
    seen = Counter(word[:5] for word in _WORD.findall(fold(text)))

    def rank(choice: Any) -> tuple[int, bool]:
        told = re.search(rf"\b{re.escape(str(choice))}\W*[:=(–-]\s*([^;\n)]*)", prop.spec.get("description", ""))
        words = {word[:5] for word in _WORD.findall(fold(f"{choice} {told[1] if told else ''}".replace("_", " ")))}
        return sum(min(seen[word], 3) for word in words), bool(re.match("other|unknown|none", str(choice)))

    return max(choices, key=rank)


def _sentences(text: str, count: int) -> list[str]:
    """The most central sentences in the order of the text: those whose words the text uses most."""
    parts = [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]
    parts = [part for part in parts if part.count(" ") > 2] or parts[:count]
    words = [{word for word in _WORD.findall(fold(part)) if len(word) > 3} for part in parts]  # short ones say little
    used = Counter(word for some in words for word in some)
    weight = [sum(used[word] for word in some) / (len(some) + 3) for some in words]
    best = sorted(range(len(parts)), key=lambda at: (-weight[at], at))[:count]
    return [parts[at] for at in sorted(best)]


def _first(prop: Property, sheet: Sheet, parse: Callable[[str], Any]) -> Any:
    return next(iter(sheet.find(prop.labels, prop.rivals, parse)), None)


def _number(prop: Property, sheet: Sheet) -> float | None:
    if _SHARE.search(prop.words):
        # As sure as rules can be: sure enough with text to go by, not at all without.
        low, high = prop.spec.get("minimum", 0), prop.spec.get("maximum", 1)
        return float(low + (high - low) * (0.7 if sheet.text.strip() else 0))
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
    else:
        free = " ".join(_sentences(sheet.text, 2)) if _FREE_TEXT.search(prop.words) else None
        text = _first(prop, sheet, lambda beside: re.split(r"\s{2,}", beside.strip(" \t:#–-"))[0] or None) or free
    return text[: prop.spec.get("maxLength", len(text))] if text else None


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
