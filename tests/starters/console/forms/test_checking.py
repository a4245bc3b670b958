from decimal import Decimal
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator

from engross.fields import Money
from starters.console.forms import check


class Line(BaseModel):
    total: Money


class Bill(BaseModel):
    name: str = Field(min_length=1, max_length=5)
    lines: list[Line]

    @field_validator("name")
    @classmethod
    def _no_x(cls, name: str) -> str:
        if name == "x":
            raise ValueError("must not be x")
        if name == "crash":
            raise RuntimeError(name)
        return name

    @model_validator(mode="after")
    def _any_lines(self) -> Self:
        if not self.lines:
            raise ValueError("there must be a line")
        return self


def test_valid_value_has_no_messages_and_keeps_its_digits() -> None:
    assert check(Bill, {"name": "a", "lines": [{"total": Decimal("0.1000")}]}) == {}


def test_messages_say_what_to_do() -> None:
    assert check(Bill, {"name": "", "lines": [{"total": None}, {}, {"total": "abc"}]}) == {
        "name": ["Give a value."],
        "lines.0.total": ["Give a value."],
        "lines.1.total": ["Give a value."],
        "lines.2.total": ["This must be a valid decimal."],
    }
    assert check(Bill, {"name": "abcdefg", "lines": []}) == {"name": ["Use at most 5 characters; these are 7."]}
    assert check(Bill, {"name": "x", "lines": []}) == {"name": ["Must not be x."]}
    assert check(Bill, {"name": "a", "lines": []}) == {"": ["There must be a line."]}


def test_what_could_not_be_read_is_told_once() -> None:
    found = check(Bill, {"name": "", "lines": [{"total": "1,5"}]}, {"lines.0.total": ["Give a number."]})
    assert found == {"name": ["Give a value."], "lines.0.total": ["Give a number."]}
    assert check(Bill, {"name": "a", "lines": 1}, {"lines.0:key": ["Give a name."]}) == {
        "lines.0:key": ["Give a name."]
    }


def test_validator_that_crashes_says_nothing_of_the_value() -> None:
    assert check(Bill, {"name": "crash", "lines": []}) == {
        "": ["A validator of the schema could not judge this (RuntimeError)."]
    }
