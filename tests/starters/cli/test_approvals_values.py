"""Corrections as people type them."""

import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from engross.errors import InvalidRequest
from engross.fields import Money
from starters.cli.approvals_values import flat, with_changes


class Kind(StrEnum):
    GOODS = "goods"
    SERVICE = "Service"


class Line(BaseModel):
    text: str
    total: Money
    tags: list[str] = []


class Order(BaseModel):
    name: str
    note: str | None = None
    count: int
    paid: bool
    exact: Decimal
    day: datetime.date | None = None
    kind: Kind
    level: Literal[1, 2]
    lines: list[Line]
    best: Line | None = None
    extra: dict[str, int] = {}
    either: int | str = 0


ORDER: dict[str, Any] = {
    "name": "12",
    "note": "n",
    "count": 1,
    "paid": False,
    "exact": "1.10",
    "day": None,
    "kind": "goods",
    "level": 1,
    "lines": [{"text": "a", "total": 1.0, "tags": []}, {"text": "b", "total": 2.0, "tags": ["x"]}],
    "best": None,
    "extra": {},
    "either": "12",
}


def changed(*changes: str, removed: tuple[str, ...] = (), output: type[BaseModel] | None = Order) -> dict[str, Any]:
    before = {**ORDER}
    after: dict[str, Any] = with_changes(ORDER, output, changes=changes, removed=removed)
    assert before == ORDER, "what was proposed stays as it is"
    return {name: after.get(name) for name in {*after, *ORDER} if after.get(name) != ORDER.get(name)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("name=7", {"name": "7"}),
        ("name=a=b", {"name": "a=b"}),
        ("note=", {"note": None}),
        ("name=", {"name": ""}),
        ("count=-5", {"count": -5}),
        ("paid=Yes", {"paid": True}),
        ("exact=2.50", {"exact": "2.50"}),
        ("day=2026-01-31", {"day": "2026-01-31"}),
        ("kind=SERVICE", {"kind": "Service"}),
        ("level=2", {"level": 2}),
        ("lines.0.total=12.50", {"lines": [ORDER["lines"][0] | {"total": 12.5}, ORDER["lines"][1]]}),
        ("lines.2.text=c", {"lines": [*ORDER["lines"], {"text": "c"}]}),
        ("lines.1.tags.1=y", {"lines": [ORDER["lines"][0], ORDER["lines"][1] | {"tags": ["x", "y"]}]}),
        ("best.text=top", {"best": {"text": "top"}}),
        ("best.tags.0=t", {"best": {"tags": ["t"]}}),
        ("extra.a=3", {"extra": {"a": 3}}),
        ("either=13", {"either": "13"}),
    ],
)
def test_values_get_the_type_of_their_field(change: str, expected: dict[str, Any]) -> None:
    after = changed(change)
    assert after == expected
    assert [type(value) for value in after.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("nmae=x", "there is no 'nmae'; there is name, note, count"),
        ("lines.0.totl=1", "there is text, total, tags"),
        ("lines.3.text=x", "numbered from 0, and 2 adds one"),
        ("lines.x.text=x", "no 'x'"),
        ("lines.-1.text=x", "no '-1'"),
        ("name.first=x", "no 'first'"),
        ("count=1.5", "a whole number"),
        ("count=", "a whole number"),
        ("paid=maybe", "true or false"),
        ("lines.0.total=nan", "a number"),
        ("lines.0.total=1e999", "a number"),
        ("lines.0.total=١", "a number"),
        ("kind=gifts", "goods, or Service"),
        ("level=3", "1, or 2"),
        ("lines=x", "set lines.NAME"),
        ("lines.0=x", "set lines.0.NAME"),
        ("name", "FIELD=VALUE"),
        ("=x", "FIELD=VALUE"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(change: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        changed(change)
    assert why in str(raised.value)


def test_items_are_removed_by_the_numbers_that_they_had() -> None:
    assert changed(removed=("lines.0", "lines.1")) == {"lines": []}
    assert changed(removed=("lines.1.tags.0",))["lines"][1]["tags"] == []
    assert "note" not in with_changes(ORDER, Order, changes=(), removed=("note",))
    for path in ("lines.2", "nothing", "name.first", "lines.0.x"):
        with pytest.raises(InvalidRequest, match="nothing at"):
            changed(removed=(path,))


def test_without_a_schema_types_stay_as_they_were() -> None:
    assert changed("count=5", "name=5", "new=6", "lines.0.total=3.5", output=None) == {
        "count": 5,
        "name": "5",
        "new": 6,
        "lines": [ORDER["lines"][0] | {"total": 3.5}, ORDER["lines"][1]],
    }


def test_digits_that_a_json_number_would_lose_stay_text() -> None:
    assert with_changes({}, Order, changes=("exact=0.12345678901234567890",), removed=()) == {
        "exact": "0.12345678901234567890"
    }


def test_answers_are_told_by_their_leaves() -> None:
    assert flat({"a": [1, {"b": "x\n"}], "c": None, "d": [], "e": {}, "f": True}) == {
        "a.0": "1", "a.1.b": "x\n", "c": "null", "d": "[]", "e": "{}", "f": "true",
    }  # fmt: skip
    assert flat("text") == {"answer": "text"}
