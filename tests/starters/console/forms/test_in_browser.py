"""The scripts of forms and keys, in a real browser and under the console's own security policy."""

import datetime
import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright, expect
from pydantic import BaseModel

from engross.people import Person
from starters.console.forms import Parsed, build_form, dumps, parse_form
from starters.console.headers import POLICY
from starters.console.rendering import FILES
from tests.starters.console.forms.pages import PAGES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

PAGE = """{% extends "base.html" %}{% from "forms.html" import form_fields %}{% block main %}
<pre class="document-frame"><mark data-field="lines.1.total">2.00</mark> <mark data-field="name">x</mark></pre>
<form method="post" data-once id="form">{{ ui.csrf_field(csrf) }}{{ form_fields(form.root) }}
{{ ui.button("Correct", key="c") }}{{ ui.button("Reject", key="r", opens="reject") }}</form>
<ul data-rows><li><a data-open href="#1">one</a></li><li><a data-open href="#2">two</a></li></ul>{% endblock %}
{% block dialogs %}
{% call ui.dialog("reject", "Reject?", "/", csrf) %}{{ ui.area_field("reason", "Reason") }}{% endcall %}
{% endblock %}"""


class Tax(BaseModel):
    rate: Decimal


class Line(BaseModel):
    text: str
    total: Decimal
    taxes: list[Tax] = []


class Address(BaseModel):
    city: str


class Bill(BaseModel):
    name: str
    at: datetime.time
    when: datetime.datetime
    paid: bool
    note: str
    lines: list[Line]
    ship_to: Address | None


VALUE: dict[str, Any] = {
    "name": "x",
    "at": "09:30:00",
    "when": "2024-03-04T10:00:00",
    "paid": False,
    "note": "\n first\nsecond\r\n",
    "lines": [{"text": f"line {n}", "total": Decimal("1.00"), "taxes": [{"rate": "0.10"}]} for n in range(3)],
    "ship_to": {"city": "Kiel"},
}


class Served:
    """What the page has sent, and how it is reached."""

    def __init__(self) -> None:
        self.sent: list[Parsed] = []
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.sent.append(parse_form(Bill, [(name, str(text)) for name, text in (await request.post()).items()]))
        template = PAGES.environment.from_string(PAGE)
        values = {"person": Person("ada"), "csrf": "token", "path": "/inbox", "form": build_form(Bill, VALUE)}
        headers = {"Content-Security-Policy": POLICY}
        return web.Response(text=template.render(values), content_type="text/html", headers=headers)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    found = Served()
    app = web.Application()
    app.add_routes([web.get("/", found.answer), web.post("/", found.answer), web.static("/static", Path(FILES))])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield found
    await runner.cleanup()


@pytest.fixture
async def page(served: Served) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = await browser.new_page()
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        await opened.goto(served.address)
        yield opened
        await browser.close()
        assert problems == []


async def send(page: Page, served: Served) -> Parsed:
    async with page.expect_navigation():
        await page.get_by_role("button", name="Correct").click()
    return served.sent[-1]


async def test_untouched_form_comes_back_exactly_and_nothing_is_marked_as_changed(page: Page, served: Served) -> None:
    await expect(page.locator("[data-undo]:visible")).to_have_count(0)
    parsed = await send(page, served)
    assert dumps(parsed.value) == dumps(VALUE)


async def test_items_are_added_and_removed_with_the_names_that_belong_to_them(page: Page, served: Served) -> None:
    await page.get_by_role("button", name="Remove line 2").click()
    await expect(page.get_by_role("button", name="Remove line 2")).to_be_focused()
    await page.get_by_role("button", name="Add line").click()
    await page.keyboard.type("new")
    await page.fill("[name='f.lines.2.total']", "7.50")
    await page.locator("[data-name='f.lines.2'] [data-add]").click()
    await page.keyboard.type("0.19")
    parsed = await send(page, served)
    assert parsed.origins["lines"] == (0, 2, None)
    first, _, third = VALUE["lines"]
    assert parsed.value["lines"] == [first, third, {"text": "new", "total": "7.50", "taxes": [{"rate": "0.19"}]}]


async def test_object_can_be_removed_and_had_back(page: Page, served: Served) -> None:
    await page.get_by_role("button", name="Remove ship to").click()
    await page.get_by_role("button", name="Undo", exact=True).click()
    await page.get_by_role("button", name="Remove ship to").click()
    assert (await send(page, served)).value["ship_to"] is None


async def test_change_is_marked_and_can_be_undone(page: Page) -> None:
    await page.fill("[name='f.name']", "other")
    await page.get_by_role("button", name="undo the change of Name").click()
    await expect(page.locator("[name='f.name']")).to_have_value("x")
    await expect(page.locator("[data-undo]:visible")).to_have_count(0)


async def test_field_and_its_place_light_each_other(page: Page) -> None:
    await page.focus("[name='f.lines.1.total']")
    await expect(page.locator("mark.is-lit")).to_have_text("2.00")
    await page.get_by_role("button", name="Remove line 1").click()
    await page.locator("mark[data-field='lines.1.total']").click()
    await expect(page.locator("[name='f.lines.0.total']")).to_be_focused()
    await page.hover("mark[data-field='name']")
    await expect(page.locator(".is-near [name='f.name']")).to_have_count(1)


async def test_keys_do_what_they_say_and_nothing_while_somebody_types(page: Page, served: Served) -> None:
    await page.focus("[name='f.name']")
    await page.keyboard.type("rj?c")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    assert served.sent == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.get_by_role("link", name="two")).to_be_focused()
    await page.keyboard.press("r")
    await expect(page.locator("#reason")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Reject")


TWICE = """() => {
    let sent = 0;
    document.addEventListener("submit", () => sent++);
    const form = document.getElementById("form");
    form.requestSubmit();
    form.requestSubmit();
    return sent;
}"""


async def test_form_is_sent_once(page: Page) -> None:
    async with page.expect_navigation():
        assert await page.evaluate(TWICE) == 1
