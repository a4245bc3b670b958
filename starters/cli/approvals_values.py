"""Changes to an answer that people type: `lines.0.total=12.50`, with the type that the job's schema has there."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from engross.errors import InvalidRequest

# What a value may be: one of these JSON schemas. An empty one is anything.
Options: TypeAlias = Sequence[Mapping[str, Any]]

_ANYTHING: Final[Options] = ({},)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}
_KINDS: Final = {
    "null": "nothing",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}
_MOST_NAMED: Final = 40
_MISSING: Final = object()


class Schema:
    """What may stand where in an answer."""

    def __init__(self, output: type[BaseModel] | None) -> None:
        # By the names of fields, as answers are stored.
        whole = output.model_json_schema(by_alias=False, mode="serialization") if output else {}
        self._defined: Mapping[str, Mapping[str, Any]] = whole.get("$defs", {})
        self.root = self._options(whole)

    def inside(self, options: Options, part: str) -> Options:
        """What may stand at `part`, a field or the index of an item; empty when nothing can."""
        return [inner for option in options for found in _inside(option, part) for inner in self._options(found)]

    def _options(self, schema: Mapping[str, Any]) -> Options:
        if "$ref" in schema:
            return self._options(self._defined[schema["$ref"].rpartition("/")[2]])
        for name in ("anyOf", "oneOf", "allOf"):
            if name in schema:
                return [option for each in schema[name] for option in self._options(each)]
        return [schema]


def with_changes(value: Any, output: type[BaseModel] | None, *, changes: Sequence[str], removed: Sequence[str]) -> Any:
    """`value` with each `path=text` of `changes`, and without the items and fields in `removed`.

    Raises `InvalidRequest` for a path that isn't there and for a text that is no such value; what is wrong beyond that
    is for the schema to say.
    """
    schema = Schema(output)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise InvalidRequest("--set is FIELD=VALUE, such as --set lines.0.total=12.50")
        value = _put(schema, value, schema.root, path.split("."), text, path)
    # From the last, so that the numbers of items mean those before any was removed.
    for path in sorted(set(removed), key=_place, reverse=True):
        value = _without(value, path.split("."), path)
    return value


def flat(value: Any, path: str = "") -> dict[str, str]:
    """The leaves of a JSON value by dotted path, as text."""
    inner: Iterator[tuple[Any, Any]] | None = None
    if isinstance(value, dict) and value:
        inner = iter(value.items())
    elif isinstance(value, list) and value:
        inner = iter(enumerate(value))
    if inner is None:
        return {path or "answer": value if isinstance(value, str) else json.dumps(value)}
    return {
        name: text for key, each in inner for name, text in flat(each, f"{path}.{key}" if path else str(key)).items()
    }


# --- putting in ---------------------------------------------------------------------------------------------------


def _put(schema: Schema, node: Any, options: Options, parts: Sequence[str], text: str, path: str) -> Any:
    if not parts:
        return _typed(text, options, node, path)
    part, rest = parts[0], parts[1:]
    inner = schema.inside(options, part)
    if not inner:
        raise InvalidRequest(f"{path}: there is no {part!r}{_known(options)}")
    is_list = isinstance(node, list) or (
        not isinstance(node, dict) and all("items" in each for each in _wholes(options))
    )
    if is_list:
        items = list(node) if isinstance(node, list) else []
        index = _index(part, len(items), path)
        before = items[index] if index < len(items) else None
        return [*items[:index], _put(schema, before, inner, rest, text, path), *items[index + 1 :]]
    fields = node if isinstance(node, dict) else {}
    return {**fields, part: _put(schema, fields.get(part), inner, rest, text, path)}


def _inside(option: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    if not option:
        return [{}]
    found: list[Any] = []
    if part in option.get("properties", {}):
        found.append(option["properties"][part])
    elif option.get("type") == "object":
        found.append(option.get("additionalProperties", "properties" not in option))
    elif option.get("type") == "array" and part.isdecimal():
        fixed = option.get("prefixItems", [])
        found.append(fixed[int(part)] if int(part) < len(fixed) else option.get("items", not fixed))
    return [{} if each is True else each for each in found if each is not False]


def _wholes(options: Options) -> list[Mapping[str, Any]]:
    return [option for option in options if option.get("type") in ("array", "object")] or [{}]


def _known(options: Options) -> str:
    names = [name for option in options for name in option.get("properties", {})]
    return f"; there is {', '.join(names[:_MOST_NAMED])}" if names else ", as it has no parts of that name"


def _index(part: str, count: int, path: str) -> int:
    if not part.isdecimal() or int(part) > count:
        raise InvalidRequest(f"{path}: items are numbered from 0, and {count} adds one")
    return int(part)


# --- types --------------------------------------------------------------------------------------------------------


def _typed(text: str, options: Options, before: Any, path: str) -> Any:
    named = [value for each in options for value in each.get("enum", [each["const"]] if "const" in each else [])]
    for same in (str.__str__, str.casefold):
        for value in named:
            if value is not None and same(str(value)) == same(text):
                return value
    kinds = {kind for each in options if "enum" not in each and "const" not in each for kind in _kinds(each)}
    kinds |= {"null"} if None in named else set()
    value = _MISSING if named and not kinds else _scalar(text, kinds, before)
    if value is _MISSING:
        allowed = [str(value) for value in named if value is not None] + [
            _KINDS[kind] for kind in _KINDS if kind in kinds
        ]
        takes = f"it is {', or '.join(allowed[:_MOST_NAMED])}" if allowed else f"it has parts: set {path}.NAME"
        raise InvalidRequest(f"{path}: {takes}")
    return value


def _kinds(option: Mapping[str, Any]) -> Sequence[str]:
    kind = option.get("type", tuple(_KINDS))
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _scalar(text: str, kinds: set[str], before: Any) -> Any:
    if not text and "null" in kinds:
        return None
    if "string" in kinds and isinstance(before, str):
        return text
    if "boolean" in kinds and text.casefold() in _BOOLEANS:
        return _BOOLEANS[text.casefold()]
    if kinds & {"integer", "number"} and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        # Digits that a JSON number would lose stay text, where the schema takes text.
        return text if "string" in kinds and Decimal(repr(number)) != Decimal(text) else number
    return text if "string" in kinds else _MISSING


# --- taking out ---------------------------------------------------------------------------------------------------


def _place(path: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in path.split(".")]


def _without(node: Any, parts: Sequence[str], path: str) -> Any:
    part, rest = parts[0], parts[1:]
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        index = int(part)
        kept = [_without(node[index], rest, path)] if rest else []
        return [*node[:index], *kept, *node[index + 1 :]]
    if isinstance(node, dict) and part in node:
        if rest:
            return {**node, part: _without(node[part], rest, path)}
        return {name: value for name, value in node.items() if name != part}
    raise InvalidRequest(f"--remove {path}: there is nothing at {part!r}")
