"""What a JSON schema asks for, as the kind of field that people fill in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

Raw = Mapping[str, Any]

_DATES: Final = ("date", "date-time", "time")


class Kind(StrEnum):
    """Kinds of values. `MIXED` is text or a number, `PAIRS` an object with free names, `JSON` whatever has no field."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    MIXED = "mixed"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    DATE = "date"
    DATETIME = "date-time"
    TIME = "time"
    GROUP = "group"
    LIST = "list"
    PAIRS = "pairs"
    JSON = "json"


@dataclass(frozen=True)
class Shape:
    """What belongs in one place. `options` of a choice; `properties` of a group; `item` of a list or of pairs."""

    kind: Kind
    nullable: bool = False
    title: str = ""
    description: str = ""
    options: tuple[Any, ...] = ()
    properties: Mapping[str, Raw] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    item: Raw = field(default_factory=dict)
    most: int | None = None
    """Most characters of a text, or items of a list."""

    @property
    def is_scalar(self) -> bool:
        return self.kind not in (Kind.GROUP, Kind.LIST, Kind.PAIRS, Kind.JSON)


class Shapes:
    """Looks at one schema, a place at a time: recursive schemas have no end."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.root: Raw = model.model_json_schema()
        self._definitions: Raw = self.root.get("$defs", {})

    def of(self, raw: Raw) -> Shape:
        """The shape of a schema or of a part of it."""
        raw = self._resolved(raw)
        branches, nullable = self._branches(raw)
        if len(branches) == 1:
            raw = {**branches[0], **{key: raw[key] for key in ("title", "description") if key in raw}}
            inner = self.of(raw) if {"anyOf", "oneOf", "$ref", "allOf"} & raw.keys() else _plain(raw)
            return replace(inner, nullable=True) if nullable else inner
        kind = _union_kind([self.of(branch) for branch in branches])
        return Shape(kind, nullable=nullable, title=raw.get("title", ""), description=raw.get("description", ""))

    def _resolved(self, raw: Raw) -> Raw:
        """Without references: what stands beside one, such as a description, wins."""
        for _ in range(len(self._definitions) + 1):
            if "$ref" in raw:
                name = str(raw["$ref"]).rsplit("/", 1)[-1]
                raw = {**self._definitions.get(name, {}), **{key: raw[key] for key in raw if key != "$ref"}}
            elif len(raw.get("allOf", ())) == 1:
                raw = {**raw["allOf"][0], **{key: raw[key] for key in raw if key != "allOf"}}
        return raw

    def _branches(self, raw: Raw) -> tuple[list[Raw], bool]:
        kinds = raw.get("type")
        told = [{**raw, "type": kind} for kind in kinds] if isinstance(kinds, list) else ()
        branches = [self._resolved(branch) for branch in told or raw.get("anyOf") or raw.get("oneOf") or ()]
        if not branches:
            return [raw], False
        real = [branch for branch in branches if branch.get("type") != "null"]
        return real, len(real) < len(branches)


def is_undescribed(raw: Raw) -> bool:
    """Whether a schema allows anything at all."""
    return not raw.keys() - {"title", "description", "default"}


def _plain(raw: Raw) -> Shape:
    kind, nullable = _kind(raw)
    options = tuple(raw.get("enum", (raw["const"],) if "const" in raw else ()))
    extra = raw.get("additionalProperties")
    limits = {key: raw.get(key) for key in ("maxLength", "maxItems")}
    return Shape(
        kind=kind,
        nullable=nullable or None in options,
        title=str(raw.get("title", "")),
        description=str(raw.get("description", "")),
        options=tuple(option for option in options if option is not None),
        properties=raw.get("properties", {}),
        required=frozenset(raw.get("required", ())),
        item=raw.get("items", {}) if kind is Kind.LIST else extra if isinstance(extra, Mapping) else {},
        most=limits["maxItems"] if kind is Kind.LIST else limits["maxLength"],
    )


def _kind(raw: Raw) -> tuple[Kind, bool]:
    if "const" in raw or "enum" in raw:
        values = raw.get("enum", [raw.get("const")])
        return (Kind.JSON if any(isinstance(value, dict | list) for value in values) else Kind.CHOICE), False
    kind = raw.get("type")
    if kind == "string":
        return next((Kind(form) for form in _DATES if raw.get("format") == form), Kind.TEXT), False
    if kind == "object":
        return _object_kind(raw), False
    if kind == "array":
        return (Kind.JSON if "prefixItems" in raw or is_undescribed(raw.get("items", {})) else Kind.LIST), False
    simple = {"number": Kind.NUMBER, "integer": Kind.INTEGER, "boolean": Kind.BOOLEAN}
    return (simple[kind], False) if kind in simple else (Kind.JSON, kind == "null")


def _object_kind(raw: Raw) -> Kind:
    if "properties" in raw:
        return Kind.GROUP
    extra = raw.get("additionalProperties")
    if isinstance(extra, Mapping) and not is_undescribed(extra):
        return Kind.PAIRS
    # A model without fields is a group, and an object of which nothing is said is not.
    return Kind.JSON if extra or "patternProperties" in raw or "title" not in raw else Kind.GROUP


def _union_kind(branches: list[Shape]) -> Kind:
    """Text beside numbers can be typed in one field; other unions need to say which of them is meant."""
    kinds = {branch.kind for branch in branches}
    texts = {Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.TIME}
    if kinds <= {Kind.NUMBER, Kind.INTEGER}:
        return Kind.NUMBER
    if kinds & texts and kinds <= texts | {Kind.NUMBER, Kind.INTEGER}:
        return Kind.MIXED if kinds - texts else Kind.TEXT
    return Kind.JSON


def label_of(name: str, title: str) -> str:
    """What a field is called: the title that its author wrote, or its name in words."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    if title and title != words.title():  # which is what pydantic makes of a name
        return title
    return words[:1].upper() + words[1:] or title or "Value"
