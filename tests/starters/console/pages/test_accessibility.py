"""Everybody can use the console: axe finds nothing serious, in light, in dark, and on a telephone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no type hints
from playwright.async_api import Browser, Page, expect

from engross.contracts import ErrorInfo, Risk, Round, RowOutcome, StoreGroupRequest
from starters.batch_items import BatchItem
from tests.starters.approvals_world import INVOICE
from tests.starters.conftest import HANGING_GROUP
from tests.starters.console.pages.chromium import CHROMIUM, WIDE, chromium, opened, sign_in
from tests.starters.console.pages.desk import SAMPLES, Desk, decide, open_desk
from tests.starters.console.pages.office import Office, failed, part
from tests.starters.console.visitor import PASSWORD

MUST: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
EVERYTHING: Final[dict[str, Any]] = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": [*MUST, "best-practice"]},
    "rules": {"target-size": {"enabled": True}},  # axe leaves it out unless told
}
# In the dark nothing but colours is different.
COLOURS: Final[dict[str, Any]] = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
NARROW: Final = 390
LOOKS: Final[Mapping[str, tuple[Any, int, dict[str, Any]]]] = {
    "light": ("light", WIDE, EVERYTHING),
    "dark": ("dark", WIDE, COLOURS),
    "narrow": ("light", NARROW, EVERYTHING),
}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed"),
]
expect.set_options(timeout=20_000)


@dataclass
class Visit:
    """A page at one console, in which somebody has signed in, and what axe has found with it."""

    address: str
    page: Page
    axe: Axe = field(default_factory=Axe)

    async def check(self, path: str, *shown: str) -> None:
        """Goes there, waits for each of the texts `shown`, and looks."""
        await self.page.set_viewport_size({"width": WIDE, "height": 900})
        await self.page.goto(f"{self.address}{path}")
        for text in shown:
            await expect(self.page.get_by_text(text).first).to_be_visible()
        await self.look()

    async def look(self) -> None:
        """Fails for what axe calls serious or critical, and where a telephone would have to be scrolled sideways."""
        wrong = []
        for look, (scheme, width, options) in LOOKS.items():
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.set_viewport_size({"width": width, "height": 900})
            found = (await self.axe.run(self.page, options=options)).response
            assert found["url"] == self.page.url
            wrong += [f"{look}: {told}" for told in told_of(found["violations"])]
            if await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{look}: wider than the window")
        assert not wrong, "\n".join((self.page.url, *wrong))


def told_of(violations: list[dict[str, Any]]) -> list[str]:
    """What must not be. What is only good practice, or small, is printed."""
    wrong = []
    for each in violations:
        places = "; ".join(" ".join(map(str, node["target"])) for node in each["nodes"])
        told = f"{each['id']} ({each['impact']}): {each['help']} at {places}"
        if each["impact"] in ("serious", "critical") and set(MUST) & set(each["tags"]):
            wrong.append(told)
        else:
            print("not required:", told)  # noqa: T201 - pytest shows it with a failure, or with -rP
    return wrong


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("desk")) as desk:
        for name in ("ann", "eve"):
            await desk.world.access.set_password(name, PASSWORD)
        yield desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(browser: Browser, desk: Desk) -> AsyncIterator[Visit]:
    async with opened(browser) as page:
        await sign_in(page, desk.address, "ann")
        yield Visit(desk.address, page)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(browser: Browser, office: Office) -> AsyncIterator[Visit]:
    await office.services.access.set_password("ada", PASSWORD)
    async with opened(browser) as page:
        await sign_in(page, office.address, "ada", "/runs")
        yield Visit(office.address, page)


# --- what approvers use -------------------------------------------------------------------------------------------


async def test_signing_in_and_failing_to(browser: Browser, desk: Desk) -> None:
    async with opened(browser) as page:
        visit = Visit(desk.address, page)
        await visit.check("/login", "Sign in to Engross")
        await page.get_by_label("User name").fill("ann")
        await page.get_by_label("Password").fill("not her password")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await visit.look()


async def test_the_inbox(desk: Desk, ann: Visit) -> None:
    rows = [await desk.start(document_name=f"row-{risk}.pdf", risk=risk) for risk in (Risk.MEDIUM, Risk.CRITICAL)]
    await desk.start(document_name="row-own.pdf", submitter="ann")
    await decide(await desk.of("ben"), rows[1].approval_id, "claim")
    await ann.check("/inbox?q=row-", "row-own.pdf")
    await ann.page.locator(f"#pick-{rows[0].approval_id}").check()
    await ann.look()
    await ann.page.get_by_role("button", name="Approve 1 approval").click()
    await expect(ann.page.get_by_role("dialog", name="Approve 1 approval?")).to_be_visible()
    await ann.look()
    await ann.check("/inbox?q=there-is-none", "Nothing matches")


async def test_the_inbox_of_somebody_for_whom_nothing_waits(browser: Browser, desk: Desk) -> None:
    async with opened(browser) as page:
        await sign_in(page, desk.address, "eve")
        await Visit(desk.address, page).check("/inbox", "All done")


async def test_an_approval_beside_the_picture_of_its_document(desk: Desk, ann: Visit) -> None:
    sample = SAMPLES / "QualityHosting.pdf"
    answer = {**INVOICE, "issuer": "QualityHosting AG"}
    row = await desk.with_document(sample.read_bytes(), sample.name, answer=answer, confidence=0.5)
    await ann.check(f"/approvals/{row.approval_id}", sample.name)
    await expect(ann.page.locator("rect[data-field=issuer]").first).to_be_attached()
    await ann.check(f"/approvals/{row.approval_id}?view=text", sample.name)
    await expect(ann.page.locator("mark[data-field=issuer]").first).to_be_attached()


async def test_an_approval_of_text_with_a_wrong_correction_and_once_it_is_closed(desk: Desk, ann: Visit) -> None:
    row = await desk.with_document(b"ACME Ltd bills EUR 119.00", "bill.txt")
    path = f"/approvals/{row.approval_id}"
    await ann.check(path, "bill.txt", "ACME Ltd bills")
    await ann.page.get_by_label("Amount", exact=True).fill("abc")
    await ann.page.get_by_role("button", name="Correct and approve").click()
    await expect(ann.page.get_by_text("Nothing is decided yet")).to_be_visible()
    await ann.look()
    await decide(await desk.of("ben"), row.approval_id, "correct", f__issuer="Acme & Sons")
    await ann.check(path, "by ben", "Changed by people: 1 field", "History")


async def test_each_question_before_something_is_done(desk: Desk, ann: Visit) -> None:
    row = await desk.start(risk=Risk.CRITICAL, can_ask_again=True)
    for kind in ("approve", "reject", "feedback", "delegate", "extend"):
        await ann.page.goto(f"{desk.address}/approvals/{row.approval_id}")
        await ann.page.locator(f"[data-opens={kind}-dialog]").click()
        await expect(ann.page.locator(f"#{kind}-dialog:modal")).to_be_visible()
        await ann.look()


async def test_an_approval_with_rounds(desk: Desk, ann: Visit) -> None:
    before = await desk.world.json_blob({**INVOICE, "amount": 118.0})
    note = await desk.world.blobs.put("acme", b"Look at the total")
    past = Round(number=1, shown="0" * 64, answer=before, by="ben", note=note)
    row = await desk.start(rounds=(past,))
    await ann.check(f"/approvals/{row.approval_id}", "Rounds before", "Look at the total")


# --- runs, batches and people -------------------------------------------------------------------------------------


async def test_runs(office: Office, ada: Visit) -> None:
    parts = (part("chunk 1", "mapped", first_page=1, last_page=3), part("chunk 2", "refused", error="RefusedAnswer"))
    await office.store("ended", answer=b'{"issuer": "ACME", "lines": [{"total": 1}]}', ledger=parts, missing=("page",))
    await office.store("broken", **failed("needs a password"))
    going = await office.submit("hangs.pdf")
    await expect_listed(ada, going)
    await ada.check("/runs", "ended", "broken", "hangs.pdf")
    await ada.check("/runs/ended", "Parts", "To know before you use it")
    await ada.check("/runs/broken", "What to do:")
    await ada.check(f"/runs/{going}", "Under way")
    await ada.page.get_by_role("button", name="Cancel").first.click()
    await expect(ada.page.get_by_role("dialog", name="Cancel this run?")).to_be_visible()
    await ada.look()


async def expect_listed(visit: Visit, run_id: str) -> None:
    """Temporal lists what has begun a moment later."""
    await visit.page.goto(f"{visit.address}/runs")
    await expect(visit.page.locator(f"#run-{run_id}")).to_be_visible()


async def test_batches(office: Office, ada: Visit) -> None:
    items = [BatchItem("a.txt", b"of a batch")]
    batch = await office.services.client.submit_batch("invoice", items, tenant="acme", group=HANGING_GROUP)
    error = ErrorInfo(type="EncryptedDocument", message="needs a password")
    outcomes = (("done", None), ("failed", error))
    rows = tuple(
        RowOutcome(row=number, run_id=f"r-{number}", name=f"{number}.txt", uri="", outcome=outcome, error=why)
        for number, (outcome, why) in enumerate(outcomes, 1)
    )
    request = StoreGroupRequest(batch_id=batch.batch_id, tenant="acme", job="invoice", rows=rows)
    await office.services.results.put_group(request, [])
    await ada.check("/batches", batch.batch_id)
    await ada.check(f"/batches/{batch.batch_id}", "of 7 documents", "2.txt")


async def test_accounts_and_people(ada: Visit) -> None:
    await ada.check("/account", "What you may do")
    await ada.check("/people", "olga")


async def test_what_is_wrong_with_a_page_is_found(browser: Browser) -> None:
    """That axe looks at all: a page without names, with pale words, and with what is too wide."""
    bad = '<html><style>p {color: #aaa; background: #fff; width: 9999px}</style><p>pale</p><input><img src="x">'
    async with AsyncExitStack() as stack:
        page = await stack.enter_async_context(opened(browser))
        await page.set_content(bad)
        with pytest.raises(AssertionError) as caught:
            await Visit("", page).look()
    for rule in ("color-contrast", "image-alt", "label", "html-has-lang", "narrow: wider than the window"):
        assert rule in str(caught.value)
