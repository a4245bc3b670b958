"""Code mends form, never content: what can be read in two ways stays."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from activities.checks.fixes import mend


class Kind(StrEnum):
    CREDIT = "credit"
    DEBIT = "debit"


class Inner(BaseModel):
    amount: Decimal | None = None


class Slip(BaseModel):
    number: str
    day: date | None = None
    amount: float = 0
    count: int = 0
    kind: Kind = Kind.DEBIT
    inner: list[Inner] = []


def mended(**fields: Any) -> Any:
    return mend(Slip, {"number": "7", **fields})


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("$ 1,234.50", 1234.5),
        ("EUR 1.234,50", 1234.5),
        ("1 234,5", 1234.5),
        ("-12,5", -12.5),
        ("12.00 USD", 12.0),
        ("1,234,567", 1234567),
        ("CHF 1'234.00", 1234.0),
        ("7", 7),
    ],
)
def test_amounts_lose_their_dress(written: str, amount: float) -> None:
    assert mended(amount=written)["amount"] == amount


@pytest.mark.parametrize("written", ["1,234", "1.234", "about ten", "1-2", ""])
def test_amounts_that_can_be_read_in_two_ways_stay(written: str) -> None:
    assert mended(amount=written)["amount"] == written


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2 July 2015", "2015-07-02"),
        ("July 2, 2015", "2015-07-02"),
        ("31/12/2017", "2017-12-31"),
        ("12/31/2017", "2017-12-31"),
        ("5.5.2020", "2020-05-05"),
        ("2020/02/29", "2020-02-29"),
        ("2015-07-02", "2015-07-02"),
    ],
)
def test_dates_become_iso(written: str, iso: str) -> None:
    assert mended(day=written)["day"] == iso


@pytest.mark.parametrize("written", ["03/04/2020", "31/02/2020", "next week"])
def test_dates_that_can_be_read_in_two_ways_stay(written: str) -> None:
    assert mended(day=written)["day"] == written


@pytest.mark.parametrize("written", ["N/A", "none", " null ", "", "-"])
def test_words_for_nothing_become_null_where_null_is_allowed(written: str) -> None:
    assert mended(day=written)["day"] is None
    assert mended(number=written)["number"] == written


def test_an_enum_is_found_whatever_its_case() -> None:
    assert mended(kind="CREDIT ")["kind"] == "credit"
    assert mended(kind="loan")["kind"] == "loan"


@pytest.mark.parametrize("wrapped", [[{"number": "7"}], {"Slip": {"number": "7"}}, '{"number": "7"}'])
def test_wrapping_comes_off(wrapped: Any) -> None:
    assert mend(Slip, wrapped) == {"number": "7"}


def test_nested_values_are_mended_too() -> None:
    assert mended(inner=[{"amount": "n/a"}, {"amount": "3,50 €"}])["inner"] == [{"amount": None}, {"amount": 3.5}]


@pytest.mark.parametrize("value", [None, 7, [], {}, [1, 2], {"a": {"b": 1}}])
def test_values_of_the_wrong_shape_come_back_as_they_are(value: Any) -> None:
    assert mend(Slip, value) == value
