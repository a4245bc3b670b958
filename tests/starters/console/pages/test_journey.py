"""The inbox and the approval page in a browser: keys, live updates, and questions before what can't be undone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from engross.contracts import Risk, Verdict
from tests.starters.approvals_world import INVOICE
from tests.starters.console.pages.desk import SAMPLES, Desk, decide, open_desk
from tests.starters.console.visitor import PASSWORD

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed"),
]
expect.set_options(timeout=20_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        await opened.world.access.set_password("ann", PASSWORD)
        yield opened


@asynccontextmanager
async def ann_at(desk: Desk, path: str, *, has_scripts: bool = True) -> AsyncIterator[Page]:
    """A browser in which ann has signed in. Whatever its console complains about fails the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            page = await (await browser.new_context(java_script_enabled=has_scripts)).new_page()
            page.set_default_timeout(20_000)
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"{desk.address}{path}")
            await page.fill("[name=name]", "ann")
            await page.fill("[name=password]", PASSWORD)
            await page.click("form.card button[type=submit]")
            await page.wait_for_url(f"**{path}")
            yield page
        finally:
            await browser.close()
    # The browser itself notes each refusal that a test provokes.
    assert [text for text in complaints if "status of 4" not in text] == []


async def test_an_approval_is_found_opened_and_approved_with_the_keyboard_alone(desk: Desk) -> None:
    row = await desk.start(document_name="keyboard-only.pdf")
    await desk.start(document_name="another.pdf")
    async with ann_at(desk, "/inbox") as page:
        await page.keyboard.press("/")
        await page.keyboard.type("keyboard-only")
        await page.wait_for_url("**/inbox?q=keyboard-only")
        await expect(page.locator("[data-open]")).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/approvals/{row.approval_id}")
        await page.keyboard.press("a")
        await expect(page.get_by_role("status").filter(has_text="Approved.")).to_be_visible()
        assert await page.evaluate("document.activeElement.matches('[data-summary]')")
    assert (await desk.world.row(row.approval_id)).state.decided_by == ("ann",)


async def test_high_risk_is_asked_about_first(desk: Desk) -> None:
    row = await desk.start(risk=Risk.HIGH)
    async with ann_at(desk, f"/approvals/{row.approval_id}") as page:
        await page.keyboard.press("a")
        await expect(page.get_by_role("dialog", name="Approve with high risk?")).to_be_visible()
        assert (await desk.world.row(row.approval_id)).state.given == ()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Your approval counts: 1 of 2.")).to_be_visible()


async def test_what_was_changed_is_not_lost_by_approving(desk: Desk) -> None:
    row = await desk.start()
    async with ann_at(desk, f"/approvals/{row.approval_id}") as page:
        await page.keyboard.press("c")  # nothing is changed yet: it leads to the form
        await expect(page.get_by_label("Issuer")).to_be_focused()
        await page.keyboard.type("Acme GmbH")
        await page.keyboard.press("Enter")  # decides nothing
        await page.keyboard.press("Escape")
        await page.keyboard.press("a")
        dialog = page.get_by_role("dialog", name="You have changed the answer")
        await expect(dialog).to_be_visible()
        assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.OPEN
        await dialog.get_by_role("button", name="Correct and approve").click()
        await expect(page.get_by_text("Corrected and approved.")).to_be_visible()
    state = (await desk.world.row(row.approval_id)).state
    assert (state.verdict, state.changed) == (Verdict.CORRECTED, ("issuer",))


async def test_somebody_elses_change_is_told_while_one_types_and_leaves_it_alone(desk: Desk) -> None:
    row = await desk.start(risk=Risk.HIGH)
    async with ann_at(desk, f"/approvals/{row.approval_id}") as page:
        await page.get_by_label("Issuer").fill("By Ann")
        await decide(await desk.of("ben"), row.approval_id, "correct", f__issuer="By Ben")
        await expect(page.get_by_text("This has changed while you look at it.")).to_be_visible()
        await expect(page.get_by_label("Issuer")).to_have_value("By Ann")
        await expect(page.get_by_label("Issuer")).to_be_focused()
        await page.get_by_role("button", name="Correct and approve").click()
        await expect(page.get_by_text("did not count")).to_be_visible()
        await expect(page.get_by_label("Issuer")).to_have_value("By Ann")


async def test_the_inbox_updates_by_itself_and_keeps_what_is_chosen(desk: Desk) -> None:
    rows = [await desk.start(document_name=f"live-{number}.pdf") for number in range(3)]
    first, second, third = rows
    async with ann_at(desk, "/inbox?q=live-") as page:
        await page.locator(f"#pick-{first.approval_id}").check()
        await page.locator(f"#pick-{second.approval_id}").check()
        await page.locator(f"#open-{third.approval_id}").focus()
        await decide(await desk.of("ben"), second.approval_id, "approve")
        await expect(page.locator(f"#open-{second.approval_id}")).to_have_count(0)
        await expect(page.locator(f"#pick-{first.approval_id}")).to_be_checked()
        await expect(page.locator(f"#open-{third.approval_id}")).to_be_focused()
        await expect(page.get_by_text("1 chosen")).to_be_visible()
        new = await desk.start(document_name="live-new.pdf")
        await expect(page.locator(f"#open-{new.approval_id}")).to_be_visible()
        await page.get_by_role("button", name="Approve 1 approval").click()
        dialog = page.get_by_role("dialog", name="Approve 1 approval?")
        await dialog.get_by_role("button", name="Approve 1 approval").click()
        await expect(page.get_by_text("1 of 1 counted")).to_be_visible()
    assert (await desk.world.row(first.approval_id)).state.verdict is Verdict.APPROVED


async def test_claiming_in_the_list_keeps_the_focus(desk: Desk) -> None:
    row = await desk.start(document_name="claimed-here.pdf")
    async with ann_at(desk, "/inbox?q=claimed-here") as page:
        await page.get_by_role("button", name="Claim").click()
        await expect(page.get_by_role("button", name="Release")).to_be_focused()
        await expect(page.get_by_text("You have claimed it")).to_be_visible()
    assert (await desk.world.row(row.approval_id)).state.claimed_by == "ann"


async def test_a_field_and_its_place_in_the_document_light_each_other(desk: Desk) -> None:
    sample = SAMPLES / "AzureInterior.pdf"
    row = await desk.with_document(sample.read_bytes(), sample.name, answer={**INVOICE, "issuer": "Azure Interior"})
    async with ann_at(desk, f"/approvals/{row.approval_id}") as page:
        await page.get_by_label("Issuer").focus()
        await expect(page.locator("rect.is-lit[data-field=issuer]").first).to_be_visible()
        await page.locator(".document-views").get_by_role("link", name="Text").click()
        await expect(page.locator("mark[data-field=issuer]").first).to_be_visible()


async def test_without_scripts_people_approve_correct_and_reject(desk: Desk) -> None:
    rows = [await desk.start() for _ in range(2)]
    risky = await desk.start(risk=Risk.HIGH)
    async with ann_at(desk, f"/approvals/{rows[0].approval_id}", has_scripts=False) as page:
        await page.get_by_label("Amount", exact=True).fill("abc")
        await page.get_by_role("button", name="Correct and approve").click()
        await expect(page.get_by_text("Nothing is decided yet: please look at these")).to_be_visible()
        await page.get_by_label("Amount", exact=True).fill("119.01")
        await page.get_by_role("button", name="Correct and approve").click()
        await expect(page.get_by_text("Corrected and approved.")).to_be_visible()
        await page.goto(f"{desk.address}/approvals/{rows[1].approval_id}")
        await page.get_by_role("button", name="Reject").click()
        await page.get_by_label("Reason").fill("Not ours")
        await page.locator("#reject-dialog").get_by_role("button", name="Reject").click()
        await expect(page.get_by_text("Rejected.", exact=False).first).to_be_visible()
        await page.goto(f"{desk.address}/approvals/{risky.approval_id}")
        await page.get_by_role("button", name="Approve", exact=True).click()
        await page.locator("#approve-dialog").get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Your approval counts: 1 of 2.")).to_be_visible()
