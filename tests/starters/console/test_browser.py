"""What only a browser shows: that it keeps and sends our cookies as the rest of the tests take for granted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright

from starters.console.identity import COOKIE
from tests.starters.console.served import Running
from tests.starters.console.visitor import PASSWORD

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed")


@asynccontextmanager
async def page_of_a_browser() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            yield await (await browser.new_context()).new_page()
        finally:
            await browser.close()


@asynccontextmanager
async def other_site(target: str) -> AsyncIterator[str]:
    """A page with a link to `target`, and a form that posts there."""

    async def answer(_request: web.Request) -> web.Response:
        html = f'<a id="link" href="{target}">x</a><form method="post" action="{target}"><button>y</button></form>'
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_somebody_signs_in_and_follows_a_link_from_elsewhere(console: Running, host: str) -> None:
    address = console.address.replace("127.0.0.1", host)
    elsewhere = console.address.replace("127.0.0.1", "localhost" if host == "127.0.0.1" else "127.0.0.1")
    complaints: list[str] = []
    async with page_of_a_browser() as page:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(f"{address}/of/one")
        await page.fill("[name=name]", "ada")
        await page.fill("[name=password]", PASSWORD)
        await page.click("button[type=submit]:has-text('Sign in')")
        await page.wait_for_url(f"{address}/of/one")
        kept = {cookie["name"]: cookie for cookie in await page.context.cookies()}
        assert (kept[COOKIE]["secure"], kept[COOKIE]["httpOnly"], kept[COOKIE]["sameSite"]) == (True, True, "Strict")
        # Another name of this machine is another site: it has no session, and its link finds the one here.
        await page.goto(f"{elsewhere}/inbox")
        assert page.url.startswith(f"{elsewhere}/login")
        async with other_site(f"{address}/inbox") as site:
            await page.goto(site.replace("localhost", "localhost" if host == "127.0.0.1" else "127.0.0.1"))
            await page.click("#link")
            await page.wait_for_url(f"{address}/inbox")
            await page.get_by_text("ada").wait_for()  # after the page that leads on, at the same address
        async with other_site(f"{address}/act") as site:
            await page.goto(site)
            await page.click("button")
            await page.wait_for_url(lambda url: "/act" in url or "/login" in url)
    assert console.done == []
    refused = [text for text in complaints if "Content Security Policy" in text]
    assert refused == []
