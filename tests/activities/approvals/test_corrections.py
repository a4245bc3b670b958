"""What a correction changes, and what is wrong with it: the same for the console and for `check_act`."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from activities.approvals.corrections import MOST_PATHS, FieldProblem, changed_fields, check_json, check_value, diff
from engross import Chain, Job, Step
from engross.errors import InvalidRequest
from engross.job import LoadedJob


class Line(BaseModel):
    total: Decimal = Field(ge=0)


class Bill(BaseModel):
    number: str = Field(max_length=5)
    lines: list[Line] = []
    notes: dict[str, int] = {}

    @model_validator(mode="after")
    def _number_is_no_secret(self) -> "Bill":
        if self.number == "00000":
            raise ValueError("the number is all noughts")
        return self


JOB = LoadedJob(
    name="bill", folder=Path(), job=Job(description="", pattern=Chain(Step("extract", output=Bill))), prompts={}
)


def test_a_valid_value_comes_back_as_canonical_json_with_its_digits() -> None:
    value = {"number": "7", "lines": [{"total": "12345678901234567890.10"}]}
    assert check_value(JOB, "extract", value) == (
        b'{"number":"7","lines":[{"total":"12345678901234567890.10"}],"notes":{}}',
        (),
    )


def test_problems_are_told_at_their_fields_in_plain_words() -> None:
    value, problems = check_value(JOB, "extract", {"number": "123456", "lines": [{"total": "1"}, {"total": -1}, {}]})
    assert value is None
    assert problems == (
        FieldProblem("number", "string_too_long", "String should have at most 5 characters"),
        FieldProblem("lines.1.total", "greater_than_equal", "Input should be greater than or equal to 0"),
        FieldProblem("lines.2.total", "missing", "Field required"),
    )
    assert check_value(JOB, "extract", {"number": "00000"})[1] == (
        FieldProblem("", "value_error", "the number is all noughts"),
    )


def test_what_is_no_json_and_too_many_problems() -> None:
    assert [each.code for each in check_json(JOB, "extract", "{")[1]] == ["not_json"]
    assert [each.code for each in check_value(JOB, "extract", {"number": float("nan")})[1]] == ["not_json"]
    assert len(check_value(JOB, "extract", {"number": "1", "lines": [{}] * 1000})[1]) == MOST_PATHS


def test_a_step_that_the_job_has_not_is_named_as_the_mistake() -> None:
    with pytest.raises(InvalidRequest, match="'bill' has no such step"):
        check_value(JOB, "other", {})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("b",)),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 5, 3]}}, ("a.b.1", "a.b.2")),
        ({"a": [1, 2, 3]}, {"a": [1]}, ("a.1", "a.2")),
        ({"a": 1}, {"b": {"c": 1}}, ("a", "b")),
        ({"a": None}, {}, ("a",)),
        ({"a": 1}, {"a": True}, ("a",)),
        ({"a": 0}, {"a": False}, ("a",)),
        ({"a": 1}, {"a": 1.0}, ()),
        ({"a": []}, {"a": {}}, ("a",)),
        ({"a": "1"}, {"a": 1}, ("a",)),
        ({"a": None}, {"a": ""}, ("a",)),
        ([1], [2], ("0",)),
        (1, 2, ("",)),
        ({}, {}, ()),
    ],
)
def test_diff(before: Any, after: Any, expected: tuple[str, ...]) -> None:
    assert diff(before, after) == expected


def test_paths_are_counted() -> None:
    assert len(diff([], list(range(1000)))) == MOST_PATHS


def test_keys_that_somebody_made_up_stay_inside() -> None:
    before = {"number": "1", "lines": [{"total": 1}], "notes": {"the patient": 1, "b": 1}}
    after = {"number": "1", "lines": [{"total": 2}], "notes": {"the patient": 2, "has DCIS": 1}, "x": 1}
    assert changed_fields(Bill, before, after) == ("lines.0.total", "notes", "")


keys = st.text("ab", min_size=1, max_size=2)
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


def strict(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def parent_of(value: Any, parts: list[str]) -> Any:
    for part in parts[:-1]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def has(value: Any, part: str) -> bool:
    return part in value if isinstance(value, dict) else int(part) < len(value)


def patched(before: Any, after: Any) -> Any:
    """`before` with everything that `diff` names taken from `after`: first what is there, then what is not."""
    made = copy.deepcopy(before)
    paths = [path.split(".") for path in diff(before, after)]
    if paths == [[""]]:
        return after
    for parts in paths:
        target, source, last = parent_of(made, parts), parent_of(after, parts), parts[-1]
        if isinstance(source, dict) and has(source, last):
            target[last] = source[last]
        elif isinstance(source, list) and has(source, last):
            target[int(last) : int(last) + 1] = [source[int(last)]]
    for parts in reversed(paths):
        target, last = parent_of(made, parts), parts[-1]
        if not has(parent_of(after, parts), last):
            del target[last if isinstance(target, dict) else int(last)]
    return made


@given(values, values)
def test_taking_what_diff_names_makes_one_value_of_the_other(before: Any, after: Any) -> None:
    assert strict(patched(before, after)) == strict(after)
    assert sorted(diff(before, after)) == sorted(diff(after, before))
    assert bool(diff(before, after)) is (strict(before) != strict(after))


@given(values)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert diff(value, copy.deepcopy(value)) == ()
