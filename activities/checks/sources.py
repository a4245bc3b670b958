"""Where values come from: fills in and checks the `sources` of answers (`engross.fields.Sources`)."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from engross.contracts import Problem

FIELD: Final = "sources"
UNKNOWN_SOURCE: Final = "unknown_source"
_DEEPEST: Final = 50


@cache
def cites(output: type[BaseModel]) -> bool:
    """Whether answers of that schema have `sources` anywhere."""
    return any(FIELD in part.get("properties", {}) for part in _parts(output.model_json_schema()))


def fill(output: type[BaseModel], value: Any, number: int) -> Any:
    """`value`, an answer about the one chunk `number`, with that as the source of everything that has sources."""
    root = output.model_json_schema()
    return _filled(value, root, root, number, 0)


def unknown(value: Any, allowed: Collection[int], path: str = "") -> Iterator[Problem]:
    """A problem for each list of sources that names a chunk which the step has not read."""
    if isinstance(value, dict):
        for name, inner in value.items():
            at = f"{path}.{name}" if path else name
            if name == FIELD and isinstance(inner, list) and all(isinstance(each, int) for each in inner):
                if not set(inner) <= set(allowed):
                    yield Problem(field=at, code=UNKNOWN_SOURCE)
            else:
                yield from unknown(inner, allowed, at)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from unknown(inner, allowed, f"{path}.{number}" if path else str(number))


def message(problem: Problem, allowed: Sequence[int]) -> str:
    """What the model is told about an unknown source."""
    return f"{problem.field}: cite only sources of the answers that were given: {', '.join(map(str, allowed))}"


def _filled(value: Any, spec: dict[str, Any], root: dict[str, Any], number: int, depth: int) -> Any:
    if depth > _DEEPEST:
        return value
    options = [option for option in _options(spec, root) if _fits(value, option)]
    spec = options[0] if options else {}
    if isinstance(value, dict):
        properties = spec.get("properties", {})
        inner = {name: _filled(each, properties.get(name, {}), root, number, depth + 1) for name, each in value.items()}
        return {**inner, FIELD: [number]} if FIELD in properties else inner
    if isinstance(value, list):
        return [_filled(each, spec.get("items", {}), root, number, depth + 1) for each in value]
    return value


def _options(spec: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a schema may mean, references followed."""
    for _ in range(_DEEPEST):
        if "$ref" not in spec:
            break
        target: Any = root
        for part in spec["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        spec = target
    alternatives = [*spec.get("anyOf", []), *spec.get("oneOf", []), *spec.get("allOf", [])]
    if not alternatives:
        yield spec
    for each in alternatives:
        yield from _options(each, root)


def _fits(value: Any, spec: dict[str, Any]) -> bool:
    kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else ""
    return not kind or spec.get("type") == kind


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from _parts(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _parts(inner)
