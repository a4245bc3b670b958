from decimal import Decimal
from typing import Any

import pytest

from starters.console.forms import dumps, loads


@pytest.mark.parametrize("text", ["1.50", "1E+2", "1e-30", "-0.0", "123456789012345678901234567890", '"\\ud800"', "[]"])
def test_digits_stay_as_they_were(text: str) -> None:
    assert loads(dumps(loads(text))) == loads(text)
    assert str(loads(dumps(loads(text)))) == str(loads(text))


def test_indented_for_people_it_is_the_same_value() -> None:
    value: dict[str, Any] = {"é": [Decimal("1.10"), None, {}, "\ud800", "\n"], "b": {"c": True}}
    assert loads(dumps(value, indent=2)) == value
    assert '"é": [' in dumps(value, indent=2)
    dumps(value, indent=2).encode()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", '{"a": 1, "a": 2}', "{", "", "[" * 100_000])
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("value", [float("nan"), Decimal("Infinity"), object(), {1, 2}])
def test_what_is_not_json_is_not_written(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        dumps(value)
