"""Whatever is shown and not touched comes back exactly."""

import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from starters.console.forms import MOST_FIELDS, MOST_ITEMS, MOST_PAIRS, build_form, dumps, loads, parse_form
from tests.starters.console.forms.pages import html_of, posted, shown


class Colour(Enum):
    RED = "red"
    ONE = 1
    TEXT_ONE = "1"
    EMPTY = ""


class Tree(BaseModel):
    name: str = ""
    kids: list["Tree"] = []
    left: "Tree | None" = None


SCALARS: list[Any] = [
    str,
    Annotated[str, Field(max_length=500)],
    int,
    float,
    Decimal,
    bool,
    datetime.date,
    datetime.datetime,
    datetime.time,
    Colour,
    Literal["a", "b"],
    Literal["x"],
    Literal[1, "1", True, "true"],
    int | str,
    float | int,
    bool | int,
    Any,
]

WEIRD = (
    *(
        "",
        "\n",
        "\r\n",
        "\n\nx",
        "a\r",
        "</textarea><script>",
        "\0",
        "\ud800",
        "json:1",
        "1",
        "true",
        "null",
        "a" * 300,
    ),
    *("2024-02-30", "2024-02-29", "09:30:00", "09:30", "24:00", "2024-03-04T10:00:00", "2024-03-04T10:00:00.123456Z"),
)
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(WEIRD)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**60), 10**60)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.sampled_from(
    [Decimal("1.50"), Decimal("1E-9"), Decimal("1.0E+40"), Decimal("-0.0"), Decimal("0.10000000000000000000000001")]
)
moments = st.datetimes().map(str) | st.datetimes().map(datetime.datetime.isoformat) | st.times().map(str)
simple = st.none() | st.booleans() | numbers | decimals | texts | moments | st.dates().map(str)
anything = st.recursive(
    simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def annotations() -> st.SearchStrategy[Any]:
    names = st.sampled_from(["name", "total", "class_", "x1", "é"])

    def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        model = st.dictionaries(names, st.tuples(inner, st.booleans()), max_size=4).map(made)
        return st.one_of(
            model,
            inner.map(lambda kind: list[kind]),  # type: ignore[valid-type]  # made while the test runs
            inner.map(lambda kind: dict[str, kind]),  # type: ignore[valid-type]  # made while the test runs
            inner.map(lambda kind: kind | None if kind is not Any else Any),
            st.tuples(inner, inner).map(lambda kinds: kinds[0] | kinds[1] if Any not in kinds else Any),
        )

    return st.recursive(st.sampled_from([*SCALARS, Tree]), grown, max_leaves=6)


def made(fields: dict[str, tuple[Any, bool]]) -> type[BaseModel]:
    """A model with these fields; those that are not required have null for their default."""
    definitions: dict[str, Any] = {name: (kind, ... if needed else None) for name, (kind, needed) in fields.items()}
    return create_model("Made", **definitions)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values that look much like what the schema asks for, and at times not at all."""
    return _like(create_model("Holder", value=(kind, ...)).model_json_schema(), 4) | anything


def _like(schema: dict[str, Any], depth: int, defs: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    defs = schema.get("$defs", {}) if defs is None else defs
    if "$ref" in schema:
        return _like(defs[schema["$ref"].rsplit("/", 1)[-1]], depth, defs)
    if "anyOf" in schema:
        return st.one_of([_like(branch, depth, defs) for branch in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if not depth:
        return simple
    if schema.get("type") == "array":
        return st.lists(_like(schema["items"], depth - 1, defs), max_size=3)
    if "properties" in schema:
        inner = {name: _like(part, depth - 1, defs) for name, part in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=inner) | st.fixed_dictionaries(inner)
    if isinstance(schema.get("additionalProperties"), dict):
        return st.dictionaries(texts, _like(schema["additionalProperties"], depth - 1, defs), max_size=3)
    return {"integer": st.integers(), "number": decimals, "boolean": st.booleans()}.get(schema.get("type", ""), simple)


def ordered(value: Any) -> str:
    """JSON with the names in order: forms keep the schema's, which is no part of the value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumps(name)}: {ordered(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(ordered, value)) + "]"
    return dumps(value)


@st.composite
def cases(draw: st.DrawFn) -> tuple[type[BaseModel], Any]:
    kinds = draw(st.lists(annotations(), min_size=1, max_size=3))
    definitions: dict[str, Any] = {f"field_{number}": (kind, ...) for number, kind in enumerate(kinds)}
    model = create_model("Answer", **definitions)
    value: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        if draw(st.integers(0, 9)):
            found = draw(values_of(kind))
            value[f"field_{number}"] = found["value"] if isinstance(found, dict) and set(found) == {"value"} else found
    if not draw(st.integers(0, 9)):
        value |= draw(st.dictionaries(texts, anything, max_size=2))
    return model, loads(dumps(value if draw(st.integers(0, 19)) else draw(anything)))


@settings(max_examples=400, deadline=None, print_blob=True)
@given(cases())
def test_whatever_is_not_touched_comes_back_exactly(case: tuple[type[BaseModel], Any]) -> None:
    model, value = case
    note(f"{model.model_json_schema()}")
    parsed = parse_form(model, shown(model, value))
    assert ordered(parsed.value) == ordered(value)
    assert parsed.errors == {}


@pytest.mark.parametrize("kind", SCALARS, ids=str)
def test_whatever_stands_in_a_field_comes_back(kind: Any) -> None:
    or_null = Any if kind is Any else kind | None
    definitions: dict[str, Any] = {"plain": (list[kind], ...)}
    definitions |= {"nullable": (list[or_null], ...)}  # type: ignore[valid-type]  # made while the test runs
    model = create_model("Answer", **definitions)
    odd = [*WEIRD, None, True, False, 0, 1, -7, 10**40, Decimal("1.50"), Decimal("1E-9"), {}, {"a": 1}, [], [None]]
    value = {"plain": odd, "nullable": odd}
    parsed = parse_form(model, shown(model, value))
    assert dumps(parsed.value) == dumps(value)


@settings(max_examples=100, deadline=None, print_blob=True)
@given(cases(), cases())
def test_what_is_left_alone_after_an_error_comes_back_as_well(
    case: tuple[type[BaseModel], Any], other: tuple[type[BaseModel], Any]
) -> None:
    model, value = case
    parsed = parse_form(model, shown(model, value, before=other[1], errors={"": ["Wrong."], "field_0": ["Wrong."]}))
    assert ordered(parsed.value) == ordered(value)


def test_too_many_items_for_fields_come_back_as_json() -> None:
    class Line(BaseModel):
        a: int
        b: str

    class Answer(BaseModel):
        lines: list[Line]
        numbers: list[int]
        more: list[Line]
        note: str

    one = {"a": 1, "b": "x"}
    for counts in ((2, 3, 4), (MOST_ITEMS + 1, 1, 1), (450, 450, 450), (1, MOST_ITEMS, MOST_ITEMS)):
        value = {"lines": [one] * counts[0], "numbers": [7] * counts[1], "more": [one] * counts[2], "note": "n"}
        items = shown(Answer, value)
        assert len(items) <= MOST_PAIRS
        assert len({name.partition(":")[0] for name, _ in items}) <= MOST_FIELDS
        assert parse_form(Answer, items).value == value


def test_endless_schema_becomes_fields_down_to_a_level() -> None:
    value: dict[str, Any] = {"name": "leaf"}
    for number in range(12):
        value = {"name": f"level {number}", "kids": [value], "left": None}
    html = html_of(build_form(Tree, value))
    assert len(html) < 400_000
    assert "f.kids.0.kids.0.kids.0.kids:json" in [name for name, _ in posted(html)]
    assert parse_form(Tree, posted(html)).value == value


def test_schema_that_branches_without_end_stays_small() -> None:
    fields: dict[str, Any] = {f"branch_{number}": (list["Bush"], []) for number in range(12)}  # type: ignore[name-defined]  # noqa: F821 - itself
    bush = create_model("Bush", **fields)
    bush.model_rebuild(_types_namespace={"Bush": bush})
    html = html_of(build_form(bush, {"branch_0": [{}]}))
    assert len(html) < 6_000_000
    assert parse_form(bush, posted(html)).value == {"branch_0": [{}]}
