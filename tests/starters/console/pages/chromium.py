"""A browser that tests share, and pages in which somebody has signed in by the form."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, async_playwright

from tests.starters.console.visitor import PASSWORD

CHROMIUM: Final = Path("/usr/bin/chromium")
WIDE: Final = 1280


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser) -> AsyncIterator[Page]:
    """A page of somebody new. Whatever its console complains about fails the test."""
    complaints: list[str] = []
    # Colours that still change are no colours to measure.
    context = await browser.new_context(reduced_motion="reduce", viewport={"width": WIDE, "height": 900})
    try:
        page = await context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    finally:
        await context.close()
    # The browser itself notes each refusal that a test provokes.
    assert [text for text in complaints if "status of 4" not in text] == []


async def sign_in(page: Page, address: str, name: str, path: str = "/inbox") -> None:
    """By the form, to which `path` leads who has not signed in."""
    await page.goto(f"{address}{path}")
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**{path}")
