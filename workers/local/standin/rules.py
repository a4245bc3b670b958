"""Answers by rules: a JSON schema and a document in, a value for each property out. No I/O, no state, no model."""

import re
from typing import Any

from .fields import Property, read_value, sentences
from .money import agree
from .sheet import Sheet

Schema = dict[str, Any]

_LABELLED = re.compile(r"Labell?ed:\s*(.*?)(?:\.(?=\s+[A-Z])|\.?\s*$)", re.DOTALL)
_DEEPEST = 6


def answer(schema: Schema, document: str) -> dict[str, Any]:
    """A value for each property of the object `schema`: null, or empty of its type, where the document has none."""
    return _object(resolve(schema, schema)[0], schema, Sheet(document), 0)


def summary(document: str) -> str:
    """A few sentences of the document: the reply where no schema is asked for."""
    return " ".join(sentences(document, 3)) or "The document is empty."


def resolve(schema: Schema, root: Schema) -> tuple[Schema, bool]:
    """The schema without references and unions, and whether it allows null."""
    nullable = False
    for _ in range(_DEEPEST):  # a reference may lead to a reference; a cycle ends here
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if "$ref" in schema:
            found: Any = root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
        elif options:
            nullable = nullable or any(option.get("type") == "null" for option in options)
            found = next((option for option in options if option.get("type") != "null"), {})
        else:
            break
        # What stands beside a reference, a description above all, says more than what it leads to.
        schema = {**found, **{k: v for k, v in schema.items() if k not in ("$ref", "anyOf", "oneOf", "allOf")}}
    if isinstance(kinds := schema.get("type"), list):
        nullable = nullable or "null" in kinds
        schema = {**schema, "type": next((kind for kind in kinds if kind != "null"), "string")}
    return schema, nullable


def _labels(name: str, spec: Schema) -> tuple[str, ...]:
    """Labels to look for, best first: those the description lists, then the property's own name and title."""
    listed = _LABELLED.search(spec.get("description", ""))
    labels = listed[1].split(",") if listed else []
    labels += [re.sub(r"[_\W]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)), spec.get("title", "")]
    return tuple(dict.fromkeys(label.strip().casefold() for label in labels if label.strip()))


def _object(spec: Schema, root: Schema, sheet: Sheet, depth: int) -> dict[str, Any]:
    specs = {name: resolve(part, root) for name, part in (spec.get("properties") or {}).items()}
    labels = {name: _labels(name, part) for name, (part, _) in specs.items()}
    dates = {label for name, (part, _) in specs.items() if part.get("format") == "date" for label in labels[name]}
    properties = []
    for name, (part, nullable) in specs.items():
        rivals = tuple(label for other in labels if other != name for label in labels[other])
        dated = tuple(label for label in rivals if label in dates)
        properties.append(Property(name, part, nullable, labels[name], rivals, dated))
    filled = {prop.name: _value(prop, root, sheet, depth) for prop in properties}
    return agree(filled, properties, sheet)


def _value(prop: Property, root: Schema, sheet: Sheet, depth: int) -> Any:
    found: Any = None
    if prop.kind == "object" and depth < _DEEPEST:
        found = _object(prop.spec, root, sheet, depth + 1)
    elif prop.kind == "array":
        found = _array(prop, root, sheet, depth)
    else:
        found = read_value(prop, sheet)
    return found if found is not None or prop.nullable else _empty(prop)


def _array(prop: Property, root: Schema, sheet: Sheet, depth: int) -> list[Any]:
    """Sentences for strings; of anything else only as many as must be."""
    item, _ = resolve(prop.spec.get("items") or {}, root)
    least, most = prop.spec.get("minItems", 0), prop.spec.get("maxItems", 3)
    one = Property(prop.name, {"description": prop.description, **item}, False, prop.labels, prop.rivals)
    if one.kind == "string" and not one.choices:
        longest = item.get("maxLength", 500)
        return [text[:longest] for text in sentences(sheet.text, max(least, min(most, 3)))]
    count = max(least, 1) if one.choices else least
    return [_value(one, root, sheet, depth + 1) for _ in range(count)]


def _empty(prop: Property) -> Any:
    """The honest nothing of a type: it keeps the type's promise, not the rest of the schema's."""
    return {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}.get(prop.kind, "")
