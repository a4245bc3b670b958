"""The inbox: what it lists for whom, filters and pages, claiming, and approving many at once."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from activities.approvals.rows import ApprovalRow
from engross.contracts import Approval, Risk, Verdict
from tests.starters.console.pages.desk import Desk, decide, form_in, open_desk, send
from tests.starters.console.visitor import Answer, Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

PART = {"HX-Request": "true"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


def listed(page: Answer) -> list[str]:
    """The ids of the approvals in the list, in its order."""
    return re.findall(r'id="open-([^"]+)"', page.text)


def ticks(page: str) -> dict[str, str]:
    """What the checkboxes send, by approval."""
    values = [unescape(value) for value in re.findall(r'name="chosen" value="([^"]+)"', page)]
    return {value.partition(":")[2]: value for value in values}


async def approve_many(browser: Browser, page: str, chosen: list[str]) -> Answer:
    form = form_in(page, "/inbox/approve")
    form += re.findall(r'form="bulk" name="(query|key)" value="([^"]*)"', page)
    return await send(browser, "/inbox/approve", [*form, *(("chosen", each) for each in chosen)])


async def test_it_lists_what_waits_most_urgent_first_and_only_of_ones_own_tenants(desk: Desk) -> None:
    mark = secrets.token_hex(4)
    later = await desk.start(document_name=f"{mark}-later.pdf", priority=5)
    first = await desk.start(document_name=f"{mark}-first.pdf", priority=1, risk=Risk.CRITICAL)
    foreign = await desk.start(document_name=f"{mark}-foreign.pdf", tenant="other")
    ann = await desk.of("ann")
    page = await ann.get(f"/inbox?q={mark}")
    assert listed(page) == [first.approval_id, later.approval_id]
    for shown in (f"{mark}-first.pdf", "over the limit", "0 of 2", "one senior", "Critical", "2 of 2 waiting"):
        assert shown in page.text
    assert listed(await ann.get(f"/inbox?q={mark}&tenant=other")) == []
    assert listed(await (await desk.of("eve")).get(f"/inbox?q={mark}")) == [foreign.approval_id]


async def test_filters_are_in_the_address_and_htmx_gets_the_list_alone(desk: Desk) -> None:
    mark = secrets.token_hex(4)
    high = await desk.start(document_name=f"{mark}.pdf", risk=Risk.HIGH)
    await desk.start(document_name=f"{mark}.pdf")
    ann = await desk.of("ann")
    for query, found in (
        ("risk=high", 1), ("risk=nonsense", 2), ("job=invoice", 2), ("job=other", 0), ("age=24", 0),
        ("whose=free", 2), ("whose=mine", 0), ("whose=asked", 2), ("state=approved", 0), ("state=all", 2),
    ):  # fmt: skip
        page = await ann.get(f"/inbox?q={mark}&{query}")
        assert (page.status, len(listed(page))) == (200, found), query
    part = await ann.get(f"/inbox?q={mark}&risk=high", PART)
    assert listed(part) == [high.approval_id]
    assert "<html" not in part.text
    assert part.text.lstrip().startswith('<div id="inbox-list">')
    nothing = await ann.get("/inbox?q=nothing-is-called-so")
    assert "Nothing matches" in nothing.text
    assert (await ann.get("/inbox?after=nonsense")).status == 400


async def test_pages_go_on_where_the_one_before_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starters.console.pages.inbox.PAGE_ROWS", 2)
    mark = secrets.token_hex(4)
    rows = [await desk.start(document_name=f"{mark}.pdf") for _ in range(5)]
    ann = await desk.of("ann")
    seen, path = list[str](), f"/inbox?q={mark}"
    while path:
        assert len(seen) < len(rows)
        page = await ann.get(path)
        assert "of 5 waiting" in page.text
        seen += listed(page)
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        path = unescape(following[1]) if following else ""
    assert sorted(seen) == sorted(row.approval_id for row in rows)
    assert len(set(seen)) == 5


async def test_claiming_and_releasing_from_the_list(desk: Desk) -> None:
    mark = secrets.token_hex(4)
    row = await desk.start(document_name=f"{mark}.pdf")
    ann, ben = await desk.of("ann"), await desk.of("ben")
    claim = f"/inbox/claim/{row.approval_id}"
    bens_page = (await ben.get(f"/inbox?q={mark}")).text
    answer = await send(ann, claim, form_in((await ann.get(f"/inbox?q={mark}")).text, claim))
    assert (answer.status, answer.location) == (303, f"/inbox?q={mark}")
    assert "<bdi>You</bdi>" in (await ann.get(f"/inbox?q={mark}&whose=mine")).text
    taken = await send(ben, claim, form_in(bens_page, claim))
    assert taken.status == 422
    assert "ann is at it" in taken.text
    release = f"/inbox/release/{row.approval_id}"
    form = form_in((await ann.get(f"/inbox?q={mark}")).text, release)
    part = await ann.send("POST", release, data=dict(form), headers={"Sec-Fetch-Site": "same-origin", **PART})
    assert part.status == 200
    assert "hx-swap-oob" in part.text
    assert (await desk.world.row(row.approval_id)).state.claimed_by == ""


async def test_many_are_approved_at_once_each_as_it_was_listed(desk: Desk) -> None:
    mark = secrets.token_hex(4)

    async def start(name: str, **more: Any) -> ApprovalRow:
        return await desk.start(document_name=f"{mark}-{name}.pdf", **more)

    plain, double = await start("plain"), await start("double", risk=Risk.HIGH)
    moved, closed = await start("moved"), await start("closed")
    own, single = await start("own", submitter="ann"), await start("single", policy=Approval())
    empty = await start("empty", answer=None)
    ann = await desk.of("ann")
    page = (await ann.get(f"/inbox?q={mark}")).text
    boxes = ticks(page)
    assert boxes.keys() == {row.approval_id for row in (plain, double, moved, closed)}
    assert "hidden" in re.findall(r'<div class="bar bulk-bar"[^>]*>', page)[0]
    other = f"{'0' * 64}:{moved.approval_id}"
    assert (await decide(await desk.of("ben"), closed.approval_id, "reject", reason="no")).status == 303
    forged = [f"{row.state.shown}:{row.approval_id}" for row in (own, single, empty)] + ["x:unknown"]
    told = await approve_many(ann, page, [*(boxes[row.approval_id] for row in (plain, double, closed)), other, *forged])
    assert told.status == 200
    assert "2 of 8 counted" in told.text
    text = unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", told.text)))
    for name, came in (
        ("plain", "Approved."),
        ("double", "Your approval counts: 1 of 2. 1 more must approve."),
        ("moved", "StaleDecision"),
        ("closed", "LateDecision"),
        ("own", "SelfDecision"),
        ("single", "NotAcceptable: its job asks people to look at each answer"),
        ("empty", "NotAcceptable"),
    ):
        assert f"{mark}-{name}.pdf {came}" in text, name
    verdicts = {row.approval_id: (await desk.world.row(row.approval_id)).state.verdict for row in (plain, moved, own)}
    assert list(verdicts.values()) == [Verdict.APPROVED, Verdict.OPEN, Verdict.OPEN]


async def test_what_another_tenant_calls_its_documents_is_not_told(desk: Desk) -> None:
    foreign = await desk.start(document_name="secret name.pdf", tenant="other")
    ann = await desk.of("ann")
    page = (await ann.get("/inbox")).text
    told = await approve_many(ann, page, [f"{foreign.state.shown}:{foreign.approval_id}"])
    assert "NotAuthorised" in told.text
    assert "secret name" not in told.text


async def test_sending_the_same_choice_twice_counts_once(desk: Desk) -> None:
    mark = secrets.token_hex(4)
    row = await desk.start(document_name=f"{mark}.pdf", risk=Risk.HIGH)
    ann = await desk.of("ann")
    page = (await ann.get(f"/inbox?q={mark}")).text
    chosen = list(ticks(page).values())
    both = await asyncio.gather(*(approve_many(ann, page, chosen) for _ in range(2)))
    assert all("1 of 1 counted" in each.text for each in both)
    assert len((await desk.world.row(row.approval_id)).state.given) == 1


async def test_viewers_have_neither_checkboxes_nor_buttons(desk: Desk) -> None:
    mark = secrets.token_hex(4)
    row = await desk.start(document_name=f"{mark}.pdf")
    page = await (await desk.of("vera")).get(f"/inbox?q={mark}")
    assert listed(page) == [row.approval_id]
    assert ticks(page.text) == {}
    assert f"/inbox/claim/{row.approval_id}" not in page.text
