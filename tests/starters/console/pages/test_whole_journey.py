"""The way of an approval through the console: two people, from signing in to the answer that the run's page shows."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.approvals.rows import ApprovalRow
from engross.contracts import (
    ApprovalRequest,
    ApprovalResult,
    DocumentSource,
    Outcome,
    Risk,
    Round,
    RunRequest,
    RunResult,
    TextRef,
    Verdict,
)
from engross.names import APPROVAL, JOB_ATTRIBUTE, TENANT_ATTRIBUTE, WORKFLOWS_QUEUE
from starters.console.app import create_app
from tests.starters.approvals_world import INVOICE, TENANT
from tests.starters.console.pages import desk as desks
from tests.starters.console.pages.chromium import CHROMIUM, chromium, opened, sign_in
from tests.starters.console.pages.desk import SAMPLES, Desk, open_desk
from tests.starters.console.visitor import PASSWORD
from workflows.approval import Approval, Tell

RUNS_QUEUE = "runs-of-this-test"
SAMPLE = SAMPLES / "QualityHosting.pdf"  # has two pages

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium is installed"),
]
expect.set_options(timeout=20_000)


@workflow.defn(name="chain")
class AsksPeople:
    """A run whose answer is there at once: as the real one, it waits for people and ends with what they approved."""

    @workflow.run
    async def run(self, run: RunRequest, asked: ApprovalRequest) -> RunResult:
        told = await workflow.execute_child_workflow(
            APPROVAL,
            asked,
            id=f"{asked.run_id}-approval",
            task_queue=WORKFLOWS_QUEUE,
            result_type=ApprovalResult,
        )
        return RunResult(
            run_id=asked.run_id,
            job=run.job,
            tenant=run.tenant,
            outcome=Outcome.DONE,
            answer=told.answer,
            model="fake",
            calls=1,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A desk with all pages, as people have it, and a worker for the runs that ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desks, "create_app", lambda services, _some: create_app(services))
        async with open_desk(tmp_path_factory.mktemp("desk")) as desk:
            for name in ("ann", "ben"):
                await desk.world.access.set_password(name, PASSWORD)
            client, runner = desk.world.server.client, UnsandboxedWorkflowRunner()
            async with Worker(client, task_queue=RUNS_QUEUE, workflows=[AsksPeople], workflow_runner=runner):
                yield desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def begin_run(desk: Desk, run_id: str) -> tuple[WorkflowHandle[AsksPeople, RunResult], ApprovalRow]:
    """A run over a real PDF, about whose answer two people are asked."""
    world, data = desk.world, SAMPLE.read_bytes()
    text = await desk.parsers.extract(data, SAMPLE.name)
    stored = await world.blobs.put(TENANT, text.model_dump_json().encode())
    asked = await world.request(
        run_id=run_id,
        risk=Risk.HIGH,
        document=await world.blobs.put(TENANT, data),
        document_name=SAMPLE.name,
        text=TextRef(**stored.model_dump(exclude={"media_type"}), pages=len(text.page_starts)),
    )
    request = RunRequest(job=asked.job, tenant=TENANT, submitter="sam", document=DocumentSource(name=SAMPLE.name))
    names = ((JOB_ATTRIBUTE, asked.job), (TENANT_ATTRIBUTE, TENANT))
    attributes = [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in names]
    handle = await world.server.client.start_workflow(
        AsksPeople.run,
        args=[request, asked],
        id=run_id,
        task_queue=RUNS_QUEUE,
        search_attributes=TypedSearchAttributes(attributes),
    )
    return handle, await world.row(f"{run_id}-approval")


async def test_two_people_from_signing_in_to_the_answer_of_the_run(desk: Desk, browser: Browser) -> None:
    run, row = await begin_run(desk, "journey")
    await desk.start(document_name="another.pdf")
    async with opened(browser) as anns, opened(browser) as bens:
        await sign_in(anns, desk.address, "ann")
        await ann_finds_and_corrects_it(anns, row)
        assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.OPEN
        await sign_in(bens, desk.address, "ben")
        await ben_sees_the_change_and_approves(bens)
        await run.result()
        for page in (anns, bens):
            await page.get_by_role("link", name="Run", exact=True).click()
            await page.wait_for_url(f"**/runs/{run.id}")
            await expect(page.get_by_role("region", name="Answer")).to_contain_text("QualityHosting AG")
            about = page.get_by_role("region", name="About this run")
            await expect(about).to_contain_text("Corrected by ann, ben")
    world = desk.world
    assert await world.audit.verify() == []
    told = [(line.actor, line.action) for line in await world.audit.of(row.approval_id)]
    assert [actor for actor, _ in told if actor != "engross"] == ["ann", "ben"], told


async def ann_finds_and_corrects_it(page: Page, row: ApprovalRow) -> None:
    await expect(page.locator("[data-open]")).to_have_count(2)
    await page.get_by_label("Risk").select_option("high")
    await expect(page.locator("[data-open]")).to_have_count(1)
    await page.get_by_role("link", name=SAMPLE.name).click()
    await page.wait_for_url(f"**/approvals/{row.approval_id}")

    await page.get_by_role("link", name="Page after").click()
    second = page.locator("#document img")
    await expect(second).to_have_attribute("src", f"/approvals/{row.approval_id}/document/pages/2.png?width=1000")
    await expect(page.get_by_label("Page", exact=True)).to_have_value("2")
    await expect(second).not_to_have_js_property("naturalWidth", 0)

    await page.get_by_label("Issuer").fill("QualityHosting AG")
    await page.get_by_label("Amount", exact=True).fill("abc")
    await page.get_by_role("button", name="Correct and approve").click()
    await expect(page.get_by_text("Nothing is decided yet")).to_be_visible()
    amount = page.get_by_label("Amount", exact=True)
    await expect(amount).to_have_value("abc")
    await expect(amount).to_have_attribute("aria-invalid", "true")
    await expect(amount).to_have_accessible_description(re.compile("^Error: Give a number"))
    await expect(page.get_by_label("Issuer")).to_have_value("QualityHosting AG")

    await amount.fill("119.00")
    await page.get_by_role("button", name="Correct and approve").click()
    await expect(page.get_by_text("1 of 2.")).to_be_visible()


async def ben_sees_the_change_and_approves(page: Page) -> None:
    await page.get_by_role("link", name=SAMPLE.name).click()
    changed = page.locator("details.corrections")
    await expect(changed).to_contain_text("Changed by people: 1 field")
    await expect(changed.locator("del")).to_have_text([str(INVOICE["issuer"])])
    await expect(changed.locator("ins")).to_have_text(["QualityHosting AG"])
    await expect(page.get_by_label("Issuer")).to_have_value("QualityHosting AG")
    await page.get_by_role("button", name="Approve", exact=True).click()
    dialog = page.get_by_role("dialog", name="Approve with high risk?")
    await dialog.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("Corrected and approved.")).to_be_visible()


async def test_the_rounds_before_say_who_asked_for_what_and_what_it_changed(desk: Desk, browser: Browser) -> None:
    world, note = desk.world, b"Look at <b>the total</b>"
    past = Round(
        number=1,
        shown="0" * 64,
        answer=await world.json_blob({**INVOICE, "amount": 118.0, "currency": "USD"}),
        by="ben",
        note=await world.blobs.put(TENANT, note),
    )
    same = past.model_copy(update={"number": 2, "answer": await world.json_blob(INVOICE), "by": "sue", "note": None})
    row = await desk.start(rounds=(past, same))
    async with opened(browser) as page:
        await sign_in(page, desk.address, "ann", f"/approvals/{row.approval_id}")
        rounds = page.get_by_role("region", name="Rounds before").get_by_role("listitem")
        await expect(rounds).to_have_count(2)
        newest, oldest = rounds.nth(0), rounds.nth(1)
        await expect(newest).to_contain_text("Round 2 · sue asked again")
        await expect(newest).to_contain_text("The next attempt changed nothing.")
        await expect(oldest).to_contain_text("Round 1 · ben asked again")
        await expect(oldest.locator("blockquote")).to_have_text(note.decode())
        await expect(oldest.locator("del")).to_have_text(["USD", "118.0"])
        await expect(oldest.locator("ins")).to_have_text(["EUR", "119.0"])
        await expect(oldest.locator("dl.lines")).to_be_hidden()
        await oldest.get_by_text("The whole answer then").click()
        await expect(oldest.locator("dd[data-field=currency]")).to_have_text("USD")
        await expect(page.locator(".facts", has_text="Round").first).to_contain_text("3")


async def test_it_says_so_when_no_worker_answers(desk: Desk, browser: Browser) -> None:
    client, runner = desk.world.server.client, UnsandboxedWorkflowRunner()
    queue = "approvals-of-a-worker-that-stops"
    async with Worker(client, task_queue=queue, workflows=[Approval, Tell], workflow_runner=runner):
        row = await desk.start(queue=queue)
    async with opened(browser) as page:
        await sign_in(page, desk.address, "ann", f"/approvals/{row.approval_id}")
        await expect(page.get_by_text("No worker answers, so this is how it was last noted.")).to_be_visible()
        await expect(page.get_by_label("Issuer")).to_have_value(str(INVOICE["issuer"]))
