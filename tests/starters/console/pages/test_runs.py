"""Runs in the console: who sees which, what a page says of one, and who may stop it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import pytest

from engross.contracts import Outcome
from tests.starters.console.pages.office import WEB_UI, Office, failed, part
from tests.starters.console.visitor import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<script>alert(1)</script>\u202efdp.exe"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - Temporal's lists have no event to wait for
            await asyncio.sleep(0.1)


async def listed(browser: Browser, query: str = "") -> list[str]:
    """The ids of the runs on a page, in order."""
    page = await browser.get(f"/runs{query}")
    assert page.status == 200, page.text
    return re.findall(r'id="run-([^"]+)"', page.text)


# --- the list ---------------------------------------------------------------------------------------------------


async def test_what_goes_on_comes_first_with_its_document(office: Office) -> None:
    await office.store("ended-1", minutes_ago=1)
    run_id = await office.submit("hangs-first.pdf")
    vera = await office.of("vera")

    async def is_listed() -> bool:
        return run_id in await listed(vera)

    await until(is_listed)
    found = await listed(vera)
    assert found.index(run_id) < found.index("ended-1")
    assert "hangs-first.pdf" in (await vera.get("/runs")).text


async def test_others_runs_are_not_listed(office: Office) -> None:
    await office.store("of-acme", tenant="acme")
    await office.store("of-other", tenant="other")
    assert "of-acme" in await listed(await office.of("vera"))
    assert "of-other" not in await listed(await office.of("vera"))
    assert "of-acme" not in await listed(await office.of("eve"))
    assert {"of-acme", "of-other"} <= set(await listed(await office.of("ada")))
    assert await listed(await office.of("nobody")) == []


async def test_a_filter_for_a_foreign_tenant_is_refused(office: Office) -> None:
    assert (await (await office.of("vera")).get("/runs?tenant=other")).status == 403
    assert (await (await office.of("vera")).get("/runs?state=odd")).status == 400


@pytest.mark.parametrize("cursor", ["x", "WyJsaXZlIl0", "WyJlbmRlZCIsICJhIl0", "W10", "%00"])
async def test_a_cursor_of_nobody_s_making_is_refused(office: Office, cursor: str) -> None:
    assert (await (await office.of("vera")).get(f"/runs?after={cursor}")).status == 400


async def test_pages_have_every_run_once(office: Office) -> None:
    ids = [f"paged-{number:03}" for number in range(120)]
    for number, run_id in enumerate(ids):
        await office.store(run_id, job="receipt", minutes_ago=number + 1)
    ada, query, found = await office.of("ada"), "?job=receipt&state=done", list[str]()
    while query:
        page = (await ada.get(f"/runs{query}")).text
        found += re.findall(r'id="run-([^"]+)"', page)
        following = re.search(r'href="/runs(\?[^"]+)" rel="next"', page)
        query = following[1].replace("&amp;", "&") if following else ""
    assert found == ids


async def test_a_list_that_looks_the_same_is_not_sent_again(office: Office) -> None:
    await office.store("still-1", job="ticket_card", minutes_ago=100_000)
    vera = await office.of("vera")
    seen = re.search(r'"seen": "(\w+)"', (await vera.get("/runs?job=ticket_card")).text)
    assert seen
    address = f"/runs/list?job=ticket_card&seen={seen[1]}"
    assert (await vera.get(address)).status == 204
    await office.store("still-2", job="ticket_card", minutes_ago=100_000)
    assert "still-2" in (await vera.get(address)).text


# --- one run ----------------------------------------------------------------------------------------------------


async def test_a_run_that_ended_says_all(office: Office) -> None:
    answer = {"total": 12.5, "lines": [{"text": HOSTILE, "sum": 1}], "empty": None, "deep": {"a": {"b": "innermost"}}}
    parts = (part("chunk 1", "mapped", first_page=1, last_page=3), part("chunk 2", "refused", error="RefusedAnswer"))
    await office.store(
        "whole", answer=json.dumps(answer).encode(), ledger=parts, document_name=HOSTILE, flags=("odd",), repairs=1
    )
    page = (await (await office.of("vera")).get("/runs/whole")).text
    for text in ("12.5", "innermost", "chunk 2", "RefusedAnswer", "1–3", "$0.5", "fake", "odd", "not given", "acme"):
        assert text in page, text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "hx-get" not in page.split('id="stand"')[1].split("</section>")[0]


async def test_a_run_that_failed_says_what_to_do(office: Office) -> None:
    await office.store("locked", **failed("needs a password"))
    page = (await (await office.of("vera")).get("/runs/locked")).text
    assert "EncryptedDocument" in page
    assert "needs a password" in page
    assert "Submit a copy that needs no password." in page


async def test_the_answer_can_be_taken_away(office: Office) -> None:
    await office.store("taken", answer=b'{"a": "\\u00fc"}')
    vera = await office.of("vera")
    answer = await vera.get("/runs/taken/answer.json")
    assert json.loads(answer.text) == {"a": "ü"}
    assert answer.headers["Content-Disposition"] == 'attachment; filename="taken.json"'
    assert (await (await office.of("eve")).get("/runs/taken/answer.json")).status == 403


async def test_nobody_sees_what_belongs_to_another_tenant(office: Office) -> None:
    await office.store("mine-stored")
    running = await office.submit("hangs-hidden.pdf")
    eve, nobody = await office.of("eve"), await office.of("nobody")
    for run_id in ("mine-stored", running):
        for browser in (eve, nobody):
            for path in ("", "/live", "/answer.json"):
                answer = await browser.get(f"/runs/{run_id}{path}")
                assert answer.status == 403, path
                assert "hangs-hidden" not in answer.text
            for action in ("cancel", "resume"):
                assert (await browser.post(f"/runs/{run_id}/{action}")).status == 403
    assert (await eve.get("/runs/no-such-run")).status == 404
    assert not (await office.services.client.status(running)).has_ended


async def test_a_run_that_goes_on_asks_for_itself_until_it_has_ended(office: Office) -> None:
    run_id = await office.submit("hangs-on.pdf")
    vera = await office.of("vera")
    page = (await vera.get(f"/runs/{run_id}")).text
    assert f'hx-get="/runs/{run_id}/live"' in page
    assert "hangs-on.pdf" in page
    assert ">sam<" in page
    assert f"{WEB_UI}/namespaces/default/workflows/{run_id}" in page
    seen = re.search(r'"seen": "(\w+)"', page)
    assert seen
    assert (await vera.get(f"/runs/{run_id}/live?seen={seen[1]}")).status == 204
    await office.services.client.cancel(run_id)
    await office.services.client.wait(run_id)
    assert (await vera.get(f"/runs/{run_id}/live?seen={seen[1]}")).headers["HX-Refresh"] == "true"


@pytest.mark.parametrize("name", ["sam", "olga", "ada"])
async def test_its_submitter_and_operators_cancel(office: Office, name: str) -> None:
    run_id = await office.submit("hangs-for-ever.pdf")
    browser = await office.of(name)
    assert f'action="/runs/{run_id}/cancel"' in (await browser.get(f"/runs/{run_id}")).text
    answer = await browser.post(f"/runs/{run_id}/cancel")
    assert answer.location == f"/runs/{run_id}?said=cancelling"
    assert (await office.services.client.wait(run_id)).outcome is Outcome.CANCELLED
    assert (name, "run.cancelled", run_id, "") in await office.audit("acme")
    assert (await browser.post(f"/runs/{run_id}/cancel")).location == f"/runs/{run_id}?said=over"
    assert (await office.audit("acme")).count((name, "run.cancelled", run_id, "")) == 1


async def test_others_do_not_cancel(office: Office) -> None:
    run_id = await office.submit("hangs-safely.pdf", submitter="olga")
    for name in ("vera", "sam"):
        browser = await office.of(name)
        assert "/cancel" not in (await browser.get(f"/runs/{run_id}")).text
        assert (await browser.post(f"/runs/{run_id}/cancel")).status == 403
    olga = await office.of("olga")
    olga.csrf = "wrong"
    assert (await olga.post(f"/runs/{run_id}/cancel")).status == 403
    assert not (await office.services.client.status(run_id)).has_ended


async def test_what_is_parked_is_told_to_try_again(office: Office) -> None:
    run_id = await office.submit("locked.pdf")
    sam = await office.of("sam")

    async def is_parked() -> bool:
        return "the key is refused" in (await sam.get(f"/runs/{run_id}")).text

    await until(is_parked)
    assert "Try again now" in (await sam.get(f"/runs/{run_id}")).text
    assert (await sam.post(f"/runs/{run_id}/resume")).status == 303
    assert (await office.services.client.wait(run_id, parked=False)).outcome is Outcome.DONE
    assert ("sam", "run.resumed", run_id, "") in await office.audit("acme")
