"""What a model writes is untrusted: strict JSON, the schema, the validators, and nothing of it in problems."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from activities.checks.answer import MAX_BYTES, NOT_JSON, check_answer


class Line(BaseModel):
    text: str
    amount: Decimal = Field(ge=0)


class Bill(BaseModel):
    number: str
    weight: float = 1.0
    lines: list[Line] = []
    notes: dict[str, int] = {}

    @field_validator("number")
    @classmethod
    def _crashes_on_zero(cls, value: str) -> str:
        if value == "0":
            raise RuntimeError(f"secret {value}")
        if value == "secret":
            raise ValueError("secret is wrong")
        return value


def codes(text: str) -> list[tuple[str, str]]:
    checked = check_answer(Bill, text)
    assert checked.value is None
    assert len(checked.messages) == len(checked.problems) > 0
    return [(problem.field, problem.code) for problem in checked.problems]


def test_a_good_answer_comes_back_as_canonical_json() -> None:
    assert check_answer(Bill, ' {"number" : "7"} ').value == b'{"number":"7","weight":1.0,"lines":[],"notes":{}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Here is your JSON",
        '{"number": "7",}',
        '{"number": "7", "weight": NaN}',
        '{"number": "7", "weight": -Infinity}',
        '{"number": "7", "weight": 1e999}',
        '{"number": "7", "number": "8"}',
        '{"lines": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"number": "' + "x" * MAX_BYTES + '"}',
        '{"number": "7"',
    ],
    ids=["empty", "prose", "comma", "nan", "infinity", "overflow", "duplicate", "deep", "huge", "cut"],
)
def test_json_that_parsers_accept_and_nobody_should_is_rejected(text: str) -> None:
    assert codes(text) == [("", NOT_JSON)]


def test_a_lone_surrogate_does_not_crash_the_check() -> None:
    check_answer(Bill, '{"number": "\ud800"}')


def test_problems_name_fields_by_path() -> None:
    text = '{"lines": [{"text": "a", "amount": 1}, {"text": "b", "amount": -1}, {"text": "c"}]}'
    assert codes(text) == [
        ("number", "missing"),
        ("lines.1.amount", "greater_than_equal"),
        ("lines.2.amount", "missing"),
    ]


@pytest.mark.parametrize(
    "text",
    ['{"number": "secret"}', '{"number": "0"}', '{"number": "7", "notes": {"secret": "x"}}', '{"number": ["secret"]}'],
)
def test_what_the_model_wrote_never_enters_a_problem(text: str) -> None:
    assert "secret" not in repr(check_answer(Bill, text).problems)
    assert check_answer(Bill, text).value is None


def test_a_validator_that_crashes_is_an_answer_that_fails() -> None:
    assert codes('{"number": "0"}') == [("", "validator_crashed_RuntimeError")]


def test_money_keeps_its_digits() -> None:
    from engross.fields import Money

    class Total(BaseModel):
        total: Money

    value: Any = check_answer(Total, '{"total": "1234567890.12"}').value
    assert value == b'{"total":1234567890.12}'
