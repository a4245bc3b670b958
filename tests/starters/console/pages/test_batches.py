"""Batches in the console: how far they are, their rows, and who steers them."""

import re
from collections.abc import Sequence

import pytest

from engross.contracts import ErrorInfo, RowOutcome, StoreGroupRequest
from starters.batch_items import BatchItem
from starters.batch_reports import BatchState
from tests.starters.conftest import HANGING_GROUP
from tests.starters.console.pages.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def start(office: Office, name: str, tenant: str = "acme") -> str:
    items = [BatchItem("a.txt", name.encode())]
    batch = await office.services.client.submit_batch("invoice", items, tenant=tenant, group=HANGING_GROUP)
    return batch.batch_id


async def store(office: Office, batch_id: str, rows: Sequence[RowOutcome], tenant: str = "acme") -> None:
    request = StoreGroupRequest(batch_id=batch_id, tenant=tenant, job="invoice", rows=tuple(rows))
    await office.services.results.put_group(request, [])


def row(number: int, outcome: str = "done", error: ErrorInfo | None = None) -> RowOutcome:
    return RowOutcome(row=number, run_id=f"r-{number}", name=f"{number}.txt", uri="", outcome=outcome, error=error)


async def test_it_says_how_far_it_is(office: Office) -> None:
    batch_id = await start(office, "far")
    page = (await (await office.of("vera")).get(f"/batches/{batch_id}")).text
    assert "of 7 documents" in page
    assert "3 a minute" in page
    assert "about 1 min 20 s left" in page
    assert 'width="42.857%"' in page
    assert f'hx-get="/batches/{batch_id}/live"' in page
    assert "/pause" not in page


async def test_only_its_tenant_sees_it(office: Office) -> None:
    batch_id = await start(office, "hidden")
    await store(office, "forgotten", [row(1)])
    eve = await office.of("eve")
    for known in (batch_id, "forgotten"):
        for path in ("", "/live", "/rows"):
            assert (await eve.get(f"/batches/{known}{path}")).status == 403
        for action in ("pause", "resume", "cancel", "window"):
            assert (await eve.post(f"/batches/{known}/{action}", {"at_once": "3"})).status == 403
    assert batch_id not in (await eve.get("/batches")).text
    assert "forgotten" not in (await eve.get("/batches")).text
    page = (await (await office.of("vera")).get("/batches")).text
    assert batch_id in page
    assert "forgotten" in page
    assert (await eve.get("/batches/no-such-batch")).status == 404
    assert batch_id not in (await (await office.of("nobody")).get("/batches")).text


async def test_operators_steer_it(office: Office) -> None:
    batch_id = await start(office, "steered")
    olga = await office.of("olga")
    assert (await olga.post(f"/batches/{batch_id}/window", {"at_once": "5"})).location.endswith("?said=window")
    assert (await olga.post(f"/batches/{batch_id}/pause")).location.endswith("?said=paused")
    report = await office.services.client.batch_status(batch_id)
    assert (report.state, report.at_once) == (BatchState.PAUSED, 5)
    assert (await olga.get(f"/batches/{batch_id}/live?state=running")).headers["HX-Refresh"] == "true"
    assert (await olga.post(f"/batches/{batch_id}/resume")).location.endswith("?said=unpaused")
    actions = [line[:3] for line in await office.audit("acme") if line[2] == batch_id]
    assert actions == [("olga", f"batch.{action}", batch_id) for action in ("window", "paused", "resumed")]


async def test_a_cancelled_batch_stops(office: Office) -> None:
    batch_id = await start(office, "stopped")
    olga = await office.of("olga")
    assert (await olga.post(f"/batches/{batch_id}/cancel")).location.endswith("?said=cancelling")
    report = await office.services.client.wait_batch(batch_id, every_seconds=0.1)
    assert report.state is BatchState.CANCELLED
    assert (await olga.post(f"/batches/{batch_id}/cancel")).location.endswith("?said=over")


async def test_others_do_not(office: Office) -> None:
    batch_id = await start(office, "kept")
    for name in ("vera", "sam"):
        browser = await office.of(name)
        for action in ("pause", "resume", "cancel", "window"):
            assert (await browser.post(f"/batches/{batch_id}/{action}", {"at_once": "3"})).status == 403
    assert (await office.services.client.batch_status(batch_id)).state is BatchState.RUNNING


@pytest.mark.parametrize("number", ["", "0", "1001", "-1", "9" * 5000, "²", "x"])
async def test_a_window_that_can_not_be_is_refused(office: Office, number: str) -> None:
    batch_id = await start(office, "window")
    assert (await (await office.of("olga")).post(f"/batches/{batch_id}/window", {"at_once": number})).status == 400


async def test_rows_come_page_by_page_and_by_outcome(office: Office) -> None:
    error = ErrorInfo(type="EncryptedDocument", message="needs a <password>")
    rows = [row(n, "failed" if n % 2 else "done", error if n % 2 else None) for n in range(1, 131)]
    await store(office, "long", rows)
    vera, address, found = await office.of("vera"), "/batches/long?outcome=failed", list[str]()
    while address:
        page = (await vera.get(address)).text
        assert "needs a &lt;password&gt;" in page
        found += re.findall(r'id="row-(\d+)"', page)
        following = re.search(r'href="([^"#]+)#rows" rel="next"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    assert found == [str(n) for n in range(1, 131, 2)]
    assert (await vera.get("/batches/long?outcome=odd")).status == 400
    assert (await vera.get("/batches/long?after=-1")).status == 400


async def test_a_batch_is_not_shown_as_a_run(office: Office) -> None:
    batch_id = await start(office, "both")
    answer = await (await office.of("vera")).get(f"/runs/{batch_id}")
    assert answer.location == f"/batches/{batch_id}"
    assert (await (await office.of("olga")).post(f"/runs/{batch_id}/cancel")).status == 404
    run_id = await office.submit("hangs-as-a-run.pdf")
    assert (await (await office.of("vera")).get(f"/batches/{run_id}")).status == 404
