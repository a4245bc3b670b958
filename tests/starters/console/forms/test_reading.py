"""What somebody changes, adds and removes, and what can't be read."""

import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from engross.errors import InvalidRequest
from engross.fields import Money
from starters.console.forms import MOST_FIELDS, MOST_ITEMS, build_form, dumps, parse_form
from tests.starters.console.forms.pages import edited, html_of, shown


class Line(BaseModel):
    text: str
    total: Money


class Address(BaseModel):
    city: str


class Bill(BaseModel):
    issuer: str
    note: str | None = None
    date: datetime.date | None = None
    amount: Money
    rate: Decimal = Decimal(1)
    pages: int = 1
    count: int | None = None
    paid: bool = False
    checked: bool | None = None
    kind: Literal["invoice", "credit"] = "invoice"
    code: int | str = ""
    lines: list[Line] = []
    tags: list[Annotated[str, Field(max_length=10)]] | None = None
    ship_to: Address | None = None
    rates: dict[str, int] = {}
    anything: Any = None


BILL: dict[str, Any] = {
    "issuer": "Müller",
    "note": "",
    "date": "2024-03-04",
    "amount": Decimal("12.50"),
    "rate": "1.0",
    "pages": 2,
    "count": 3,
    "paid": True,
    "checked": None,
    "kind": "credit",
    "code": 7,
    "lines": [{"text": "one", "total": 1}, {"text": "two", "total": Decimal("2.0")}],
    "tags": ["a"],
    "ship_to": None,
    "rates": {"EUR": 1, "USD": 2},
    "anything": {"free": [1]},
}


def changed(**changes: str) -> Any:
    """The value of the form after these edits."""
    parsed = parse_form(Bill, edited(shown(Bill, BILL), **changes))
    assert parsed.errors == {}
    return parsed.value


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("amount", "1234.50", Decimal("1234.50")),
        ("amount", " 007 ", 7),
        ("amount", "", None),
        ("rate", "0.10", "0.10"),
        ("pages", "12345678901234567890123", 12345678901234567890123),
        ("count", "", None),
        ("note", "x\r\ny", "x\ny"),
        ("issuer", "", ""),
        ("date", "", None),
        ("checked", "false", False),
        ("code", "8", 8),
        ("code", "A8", "A8"),
        ("anything", '{"free": 1.10}', {"free": Decimal("1.10")}),
    ],
)
def test_one_change_is_one_change(name: str, typed: str, value: Any) -> None:
    found = changed(**{f"f__{name}": typed})
    assert dumps(found.pop(name)) == dumps(value)
    assert found == {key: item for key, item in BILL.items() if key != name}


def test_empty_where_there_is_a_default_leaves_it_to_the_default() -> None:
    assert "pages" not in changed(f__pages="")


def test_unchecked_box_is_false() -> None:
    items = [(name, value) for name, value in shown(Bill, BILL) if (name, value) != ("f.paid", "true")]
    assert parse_form(Bill, items).value["paid"] is False


def test_order_of_items_is_that_of_the_page_whatever_their_numbers() -> None:
    items = [(name.replace("f.lines.0", "f.lines.9"), value) for name, value in shown(Bill, BILL)]
    moved = [item for item in items if not item[0].startswith("f.lines.9")]
    moved += [item for item in items if item[0].startswith("f.lines.9")]
    parsed = parse_form(Bill, moved)
    assert [line["text"] for line in parsed.value["lines"]] == ["two", "one"]
    assert parsed.origins["lines"] == (1, 0)


def test_added_item_needs_no_marks_but_its_fields() -> None:
    items = [*shown(Bill, BILL), ("f.lines.2:here", "1"), ("f.lines.2.text", "three"), ("f.lines.2.total", "3.10")]
    parsed = parse_form(Bill, items)
    assert parsed.value["lines"][2] == {"text": "three", "total": Decimal("3.10")}
    assert parsed.origins["lines"] == (0, 1, None)


def test_list_with_nothing_left_is_empty_and_null_only_when_said() -> None:
    items = [item for item in shown(Bill, BILL) if not item[0].startswith("f.tags.")]
    assert parse_form(Bill, items).value["tags"] == []
    assert parse_form(Bill, [*items, ("f.tags:none", "1")]).value["tags"] is None


def test_object_that_was_missing_is_there_once_it_is_filled_in() -> None:
    items = [*shown(Bill, BILL), ("f.ship_to:here", "1"), ("f.ship_to.city", "Kiel")]
    assert parse_form(Bill, items).value["ship_to"] == {"city": "Kiel"}


def test_names_that_are_missing_or_twice_are_told_at_their_row_and_shown_again() -> None:
    items = [*edited(shown(Bill, BILL), **{"f__rates__1:key": "EUR"}), ("f.rates.2:key", ""), ("f.rates.2.value", "3")]
    parsed = parse_form(Bill, items)
    assert parsed.errors == {"rates.#1:key": ["This name is there twice."], "rates.#2:key": ["Give a name."]}
    form = build_form(Bill, parsed.value, before=BILL, origins=parsed.origins, errors=parsed.errors)
    assert [complaint.target for complaint in form.complaints] == ["f.rates.1:key", "f.rates.2:key"]


@pytest.mark.parametrize("typed", ["1,5", "1.234,50", "abc", "0x10", "1_000", "٣", "1e9999", "NaN", "--1", "1."])
def test_what_is_no_number_is_told_and_shown_as_it_was_typed(typed: str) -> None:
    parsed = parse_form(Bill, edited(shown(Bill, BILL), f__lines__1__total=typed))
    assert list(parsed.errors) == ["lines.1.total"]
    html = html_of(build_form(Bill, parsed.value, before=BILL, origins=parsed.origins, errors=parsed.errors))
    assert f'value="{typed}"' in html
    assert 'aria-describedby="f.lines.1.total:error"' in html
    again = parse_form(Bill, edited(shown(Bill, parsed.value, before=BILL)))
    assert list(again.errors) == ["lines.1.total"]


@pytest.mark.parametrize(
    ("name", "typed"), [("pages", "1.5"), ("date", "4.3.2024"), ("kind", "other"), ("anything", "{"), ("checked", "x")]
)
def test_what_can_not_be_read_is_an_error_at_its_field(name: str, typed: str) -> None:
    parsed = parse_form(Bill, edited(shown(Bill, BILL), **{f"f__{name}": typed}))
    assert list(parsed.errors) == [name]


def test_whole_answer_that_is_no_object_is_edited_as_json() -> None:
    assert parse_form(Bill, edited(shown(Bill, [1]), f="[2]")).value == [2]


def test_form_of_somebody_else_is_refused_and_what_is_not_ours_ignored() -> None:
    with pytest.raises(InvalidRequest, match="damaged"):
        parse_form(Bill, [("f:here", "1"), ("f.issuer", "x"), ("f.issuer:was", "{")])
    assert (
        parse_form(Bill, [("csrf", "x"), ("f:here", "1"), ("f.issuer", "x"), ("f.bogus", "y")]).value["issuer"] == "x"
    )
    assert parse_form(Bill, []).value is None


@pytest.mark.parametrize(
    "items",
    [
        [(f"f.{number}", "x") for number in range(MOST_FIELDS + 1)],
        [(f"f.lines.{number}:here", "1") for number in range(MOST_ITEMS + 1)]
        + [("f:here", "1"), ("f.lines:here", "1")],
        [("f" + ".a" * 100, "x")],
    ],
)
def test_form_that_is_too_large_is_refused(items: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest, match="too l"):
        parse_form(Bill, items)
