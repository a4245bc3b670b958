"""A policy that names a field which answers can't have is found when the job is loaded, not when it never holds."""

from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from engross.approval_fields import property_names, unknown_fields
from engross.contracts import (
    Above,
    AllOf,
    AnyOf,
    Approval,
    Confidence,
    Longer,
    Missing,
    Not,
    OneOf,
    Risk,
    Rule,
    Trigger,
    Words,
)


class Card(BaseModel):
    kind: Literal["card"] = "card"
    digits: str


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    coins: int


class Line(BaseModel):
    total: Decimal | None = None
    parts: list["Line"] = []


class Bill(BaseModel):
    amount: Decimal
    confidence: float = 1.0
    lines: list[Line] | None = None
    paid: Card | Cash = Field(discriminator="kind")
    maybe: Line | str | None = None
    by_name: dict[str, Line] = {}
    pair: tuple[int, Line] = (0, Line())
    anything: Any = None
    loose: dict[str, Any] = {}
    renamed: int = Field(0, alias="other")

    @computed_field  # type: ignore[prop-decorator] # mypy's known limit, as pydantic's manual says
    @property
    def tax(self) -> Decimal:
        return Decimal(0)


def unknown(*fields: str, output: type[BaseModel] = Bill) -> list[str]:
    rules = tuple(Rule(name=field, when=Missing(field=field), risk=Risk.HIGH) for field in fields)
    return unknown_fields(Approval(rules=rules), output)


@pytest.mark.parametrize(
    "field",
    [
        "amount",
        "lines",
        "lines.0",
        "lines.12.total",
        "lines.*.total",
        "lines.*.parts.0.parts.*.total",
        "paid.*",
        "paid.kind",
        "paid.digits",
        "paid.coins",
        "maybe.total",
        "by_name.somebody.total",
        "by_name.*.total",
        "pair.0",
        "pair.1.total",
        "pair.*.total",
        "anything.at.all",
        "loose.a.b",
        "renamed",
        "tax",
    ],
)
def test_fields_that_answers_have(field: str) -> None:
    assert unknown(field) == []


@pytest.mark.parametrize(
    "field",
    [
        "",
        "amuont",
        "amount.cents",
        "lines.total",
        "lines.-1.total",
        "lines.0.totals",
        "lines.*.parts.total",
        "lines..total",
        "anything.",
        "loose..b",
        "paid.cents",
        "maybe.totals",
        "by_name.total.totals",
        "pair.0.total",
        "pair.2",
        "other",
    ],
)
def test_fields_that_they_can_not_have(field: str) -> None:
    assert unknown(field) == [field]


def test_every_place_that_names_a_field_is_looked_at_once_and_in_order() -> None:
    when = AllOf(
        conditions=(
            Above(field="b", limit=Decimal(1)),
            Words(words=("x",)),
            Not(condition=AnyOf(conditions=(OneOf(field="a", values=("x",)), Longer(characters=1)))),
            Missing(field="b"),
        )
    )
    policy = Approval(
        rules=(Rule(name="r", when=when, risk=Risk.HIGH),),
        triggers=(Trigger(name="t", when=Missing(field="c")), Trigger(name="u", when=Missing(field="amount"))),
        confidence=Confidence(field="d"),
    )
    assert unknown_fields(policy, Bill) == ["b", "a", "c", "d"]
    assert unknown_fields(Approval(confidence=Confidence()), Bill) == []
    assert unknown_fields(Approval(), Bill) == []


def test_schemas_of_other_forms() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int

    class Named(BaseModel):
        model_config = ConfigDict(serialize_by_alias=True)
        a: int = Field(alias="b")

    assert unknown("made.up", output=Open) == []
    assert unknown("a", "b", output=Named) == ["a"]
    assert unknown("0.total", "*.total", "total", output=RootModel[list[Line]]) == ["total"]
    assert unknown("parts.0.parts.0.total", "parts.0.none", output=Line) == ["parts.0.none"]


def test_names_are_those_of_the_schema_at_any_depth() -> None:
    assert property_names(Line) == {"total", "parts"}
    assert {"amount", "digits", "coins", "total", "tax", "renamed"} <= property_names(Bill)
    assert "other" not in property_names(Bill)
