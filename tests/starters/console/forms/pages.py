"""What a browser makes of a page: the names and values that it posts when nobody touches anything."""

import re
from datetime import date
from html.parser import HTMLParser
from typing import Any

from pydantic import BaseModel

from starters.console.forms import Form, build_form
from starters.console.rendering import Pages, StaticFiles

PAGES = Pages(StaticFiles())
_FIELDS = PAGES.environment.from_string(
    '{% from "forms.html" import form_errors, form_fields %}'
    "{{ form_errors(form.complaints) }}{{ form_fields(form.root) }}"
)


def html_of(form: Form) -> str:
    """The form as HTML."""
    return _FIELDS.render(form=form)


def shown(model: type[BaseModel], value: Any, **more: Any) -> list[tuple[str, str]]:
    """What is posted for `value` when nobody touches anything."""
    return posted(html_of(build_form(model, value, **more)))


def edited(items: list[tuple[str, str]], **changes: str) -> list[tuple[str, str]]:
    """`items` with other texts for fields, which are given by their names with `__` for `.`; they must be there."""
    new = {name.replace("__", "."): text for name, text in changes.items()}
    assert new.keys() <= {name for name, _ in items}
    return [(name, new.get(name, text)) for name, text in items]


def posted(html: str) -> list[tuple[str, str]]:
    """What a browser that is given `html` posts; it has to be able to read it: UTF-8, no lone surrogates."""
    text = html.encode().decode().replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    browser = _Browser()
    browser.feed(text)
    browser.close()
    return [(name, value.replace("\n", "\r\n")) for name, value in browser.items]


class _Browser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[str, str]] = []
        self._templates = 0
        self._area: list[str] | None = None
        self._area_name = ""
        self._options: list[tuple[str, bool]] | None = None
        self._select_name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "template":
            self._templates += 1
        elif self._templates:
            return
        elif tag == "input" and "name" in given:
            self._input(given)
        elif tag == "textarea":
            self._area, self._area_name = [], given["name"]
        elif tag == "select":
            self._options, self._select_name = [], given["name"]
        elif tag == "option" and self._options is not None:
            self._options.append((given["value"], "selected" in given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self._templates -= 1
        elif tag == "textarea" and self._area is not None:
            self.items.append((self._area_name, "".join(self._area).removeprefix("\n")))
            self._area = None
        elif tag == "select" and self._options:
            self.items.append(
                (self._select_name, next((code for code, on in self._options if on), self._options[0][0]))
            )
            self._options = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.append(data)

    def _input(self, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in given:
            return
        self.items.append((given["name"], _sanitised(kind, given.get("value", ""))))


def _sanitised(kind: str, value: str) -> str:
    """As the HTML standard says for each type."""
    if kind in ("hidden", "checkbox", "radio"):
        return value
    value = value.replace("\n", "")
    if kind == "date":
        return value if _is_date(value) else ""
    if kind in ("time", "datetime-local"):
        day = r"(\d{4}-\d\d-\d\d)T" if kind == "datetime-local" else "()"
        found = re.fullmatch(day + r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,3})?)?", value, re.ASCII)
        if not found or (found[1] and not _is_date(found[1])):
            return ""
        return value.removesuffix(":00") if value.count(":") == 2 else value
    return value


def _is_date(text: str) -> bool:
    try:
        return re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False
