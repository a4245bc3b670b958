"""What a form shows: labels, help, errors where they belong, and hostile text as nothing but text."""

from html.parser import HTMLParser
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from starters.console.forms import Field as FormField
from starters.console.forms import build_form, check
from tests.starters.console.forms.pages import html_of


class Line(BaseModel):
    text: str = Field(description="What was sold. Labelled: Item, Article.")
    total: float


class Bill(BaseModel):
    vat_number: str | None = Field(None, title="VAT number")
    kind: Literal["invoice", "credit_note"] = "invoice"
    lines: list[Line] = []
    taxes: list[Annotated[str, Field(min_length=2)]] = []


VALUE: dict[str, Any] = {"vat_number": "1", "kind": "invoice", "lines": [{"text": "a", "total": 1}], "taxes": ["x"]}


def fields(field: FormField) -> dict[str, FormField]:
    """All fields by their names."""
    found = {field.name: field}
    for child in (*field.children, *((field.extra,) if field.extra else ())):
        found |= fields(child)
    return found


def test_labels_are_words_and_items_are_counted() -> None:
    found = fields(build_form(Bill, VALUE).root)
    labels = {name: field.label for name, field in found.items()}
    assert labels["f.vat_number"] == "VAT number"
    assert labels["f.lines.0"] == "Line 1"
    assert labels["f.taxes.0"] == "Tax 1"
    assert [option.label for option in found["f.kind"].options] == ["Invoice", "Credit note"]
    assert (found["f.lines.0.text"].help, found["f.lines.0.text"].more) == (
        "What was sold.",
        "Labelled: Item, Article.",
    )


def test_errors_stand_at_their_fields_and_in_the_summary() -> None:
    value = VALUE | {"lines": [{"text": "a"}], "bogus": 1}
    errors = check(Bill, value) | {"": ["Totals differ."], "nowhere.at.all": ["Lost."], "bogus": ["Not allowed."]}
    errors["vat_number.constrained-str"] = ["Wrong."]  # as pydantic says which branch of a union it tried
    form = build_form(Bill, value, before=VALUE, errors=errors)
    assert [(complaint.label, complaint.message, complaint.target) for complaint in form.complaints] == [
        ("", "Totals differ.", ""),
        ("nowhere.at.all", "Lost.", ""),
        ("VAT number", "Wrong.", "f.vat_number"),
        ("Lines › Line 1 › Total", "Give a value.", "f.lines.0.total"),
        ("Taxes › Tax 1", "Use at least 2 characters.", "f.taxes.0"),
        ("Other values", "Not allowed.", "f:more"),
    ]
    html = html_of(form)
    ids = _Ids(html)
    assert all(complaint.target in ids.ids for complaint in form.complaints if complaint.target)
    assert ids.described <= ids.ids
    assert ids.labelled <= ids.ids


def test_item_that_was_moved_is_compared_with_what_it_was() -> None:
    before = VALUE | {"taxes": ["first", "second"]}
    form = build_form(Bill, VALUE | {"taxes": ["second", "third"]}, before=before, origins={"taxes": (1, None)})
    moved, new = fields(form.root)["f.taxes.0"], fields(form.root)["f.taxes.1"]
    assert (moved.initial, moved.evidence, moved.origin) == ("second", "taxes.1", "1")
    assert (new.initial, new.evidence, new.origin) == (None, "", "")


def test_each_value_points_at_its_place_in_the_document() -> None:
    html = html_of(build_form(Bill, VALUE))
    for path in ("vat_number", "lines.0.total", "taxes.0", "kind"):
        assert html.count(f'data-field="{path}"') >= 1
    template = html[html.index("<template") : html.index("</template>")]
    assert "data-field" not in template


def test_hostile_text_stays_text() -> None:
    bad = "</textarea></template><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"

    class Hostile(BaseModel):
        text: str = Field(title=bad, description=f"{bad}. More {bad}.")
        names: dict[str, str]
        kind: Literal["<b>", '"><script>']
        way: Literal["a", "b"]

    value = {"text": bad, "names": {bad: bad}, "kind": bad, "way": "a", bad: {bad: bad}}
    errors = {"text": [bad], bad: [bad], "names": [bad]}
    before = {"text": f"{bad}x", "way": bad, "names": {bad: "x"}, "kind": "<b>"}
    tags = _Ids(html_of(build_form(Hostile, value, before=before, errors=errors))).tags
    assert not {"script", "img", "b"} & tags


class _Ids(HTMLParser):
    """Ids, and what refers to them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.described: set[str] = set()
        self.labelled: set[str] = set()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if "id" in given:
            assert given["id"] not in self.ids, f"the id {given['id']} is there twice"
            self.ids.add(given["id"])
        self.described |= set(given.get("aria-describedby", "").split())
        self.labelled |= {given["for"]} if "for" in given else set()
        assert not [name for name in given if name.startswith("on") or name == "style"]
