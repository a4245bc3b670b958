"""Which fields a policy goes by, and whether answers have them: a path that leads nowhere would never hold."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from engross.contracts import Above, AllOf, AnyOf, Approval, Condition, Missing, Not, OneOf

EVERY: Final = "*"
"""The part of a path that means every item of a list."""

_STRUCTURE: Final = frozenset({"type", "anyOf", "oneOf", "allOf", "enum", "const"})


def unknown_fields(policy: Approval, output: type[BaseModel]) -> list[str]:
    """The fields that rules, triggers or the confidence of `policy` name and answers of `output` can't have.

    Each once, in the order in which they are named. Raises what pydantic raises where answers have no JSON schema.
    """
    schema = answer_schema(output)
    named = dict.fromkeys(_named(policy))
    return [field for field in named if not _leads_somewhere(schema, field)]


def leaves(condition: Condition) -> Iterator[Condition]:
    """The conditions that `condition` is made of, those that only join others left out."""
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.conditions:
            yield from leaves(each)
    elif isinstance(condition, Not):
        yield from leaves(condition.condition)
    else:
        yield condition


@lru_cache(maxsize=512)
def answer_schema(output: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of answers as they are kept: computed fields are there, and names are those that are written."""
    by_alias = bool(output.model_config.get("serialize_by_alias", False))
    return output.model_json_schema(by_alias=by_alias, mode="serialization")


@lru_cache(maxsize=512)
def property_names(output: type[BaseModel]) -> frozenset[str]:
    """Every name of a field in answers of `output`, at any depth; never a key that a model or a person made up."""
    return frozenset(_names(answer_schema(output)))


def _named(policy: Approval) -> Iterator[str]:
    rules, triggers = [each.when for each in policy.rules], [each.when for each in policy.triggers]
    for condition in rules + triggers:
        for leaf in leaves(condition):
            if isinstance(leaf, Above | Missing | OneOf):
                yield leaf.field
    if policy.confidence is not None:
        yield policy.confidence.field


def _leads_somewhere(schema: dict[str, Any], path: str) -> bool:
    places: list[Any] = [schema]
    for part in path.split("."):
        places = [inner for place in places for option in _options(place, schema) for inner in _inside(option, part)]
    return bool(places)


def _options(spec: Any, root: dict[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """What `spec` may mean: references followed, unions taken apart."""
    if not isinstance(spec, dict):
        if spec is True:
            yield {}
        return
    ref = spec.get("$ref", "")
    if ref:
        if ref not in seen:
            yield from _options(_target(ref, root), root, seen | {ref})
        return
    alternatives = [*spec.get("anyOf", ()), *spec.get("oneOf", ()), *spec.get("allOf", ())]
    if not alternatives or "properties" in spec:
        yield spec
    for each in alternatives:
        yield from _options(each, root, seen)


def _target(ref: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in ref.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _inside(spec: dict[str, Any], part: str) -> Iterator[Any]:
    """The specifications of what lies at `part` of a value; none when it can't have that part."""
    if not part:
        return
    if not _STRUCTURE & spec.keys():
        yield {}  # any value at all
    kinds = spec.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "object" in kinds:
        yield from _in_object(spec, part)
    if "array" in kinds and (part == EVERY or (part.isascii() and part.isdecimal())):
        yield from _in_array(spec, part)


def _in_object(spec: dict[str, Any], part: str) -> Iterator[Any]:
    properties, more = spec.get("properties"), spec.get("additionalProperties", "properties" not in spec)
    if properties and part in properties:
        yield properties[part]
    elif part == EVERY and properties:
        yield from properties.values()
    if more is not False:
        yield more
    yield from spec.get("patternProperties", {}).values()


def _in_array(spec: dict[str, Any], part: str) -> Iterator[Any]:
    first: list[Any] = spec.get("prefixItems", [])
    if part == EVERY:
        yield from first
    elif int(part) < len(first):
        yield first[int(part)]
        return
    rest = spec.get("items", "prefixItems" not in spec)
    if rest is not False:
        yield rest


def _names(schema: Any) -> Iterable[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for inner in schema.values():
            yield from _names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _names(inner)
