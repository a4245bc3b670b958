"""The approval page: what it shows to whom, and that what people send counts once, on what they saw."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engross.contracts import ActKind, Problem, Risk, Verdict
from tests.starters.approvals_world import INVOICE, TENANT
from tests.starters.console.pages.desk import SAMPLES, Desk, decide, form_in, has_form, open_desk, send

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<script>alert(1)</script>\u202etxt.exe\x07"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


async def test_one_click_approves_and_the_page_says_so(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    answer = await decide(ann, row.approval_id, "approve")
    assert answer.status == 303
    page = await ann.get(answer.location)
    assert "Approved." in page.text
    assert not has_form(page.text, f"/approvals/{row.approval_id}/approve")
    state = (await desk.world.row(row.approval_id)).state
    assert (state.verdict, state.decided_by) == (Verdict.APPROVED, ("ann",))
    lines = [line for line in await desk.world.audit.of(row.approval_id) if line.action == "approval.approved"]
    assert [(line.actor, line.source, line.address) for line in lines] == [("ann", "console", "127.0.0.1")]


async def test_a_link_from_somebody_else_does_not_say_that_you_have_approved(desk: Desk) -> None:
    row = await desk.start()
    ben_key = (await decide(await desk.of("ben"), row.approval_id, "approve")).location.partition("told=")[2]
    page = await (await desk.of("ann")).get(f"/approvals/{row.approval_id}?told={ben_key}")
    assert "banner-good" not in page.text


async def test_clicking_twice_is_one_approval(desk: Desk) -> None:
    row = await desk.start(risk=Risk.HIGH)
    ann = await desk.of("ann")
    path = f"/approvals/{row.approval_id}/approve"
    form = form_in((await ann.get(f"/approvals/{row.approval_id}")).text, path)
    answers = await asyncio.gather(*(send(ann, path, form) for _ in range(5)))
    assert [answer.status for answer in answers] == [303] * 5
    state = (await desk.world.row(row.approval_id)).state
    assert (state.verdict, [consent.by for consent in state.given]) == (Verdict.OPEN, ["ann"])
    page = await ann.get(answers[0].location)
    assert "Your approval counts: 1 of 2." in page.text
    assert "You have approved this. Somebody else has to approve it as well." in page.text
    assert not has_form(page.text, path)


async def test_a_correction_is_checked_at_the_fields_and_keeps_what_was_typed(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    refused = await decide(ann, row.approval_id, "correct", f__amount="abc", f__issuer="Acme & Sons")
    assert refused.status == 422
    assert 'value="abc"' in refused.text
    assert 'value="Acme &amp; Sons"' in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert 'href="#f.amount"' in refused.text
    # Nothing of it was even sent to the workflow, which would have noted a refusal.
    assert [line.action for line in await desk.world.audit.of(row.approval_id)] == ["approval.opened"]
    path = f"/approvals/{row.approval_id}/correct"
    again = await send(ann, path, form_in(refused.text, path), f__amount="119.50", f__amount_tax="19.50")
    assert again.status == 303, again.text
    page = await ann.get(again.location)
    assert "Corrected and approved." in page.text
    for shown in ("<del><bdi>ACME Ltd</bdi></del>", "<ins><bdi>Acme &amp; Sons</bdi></ins>", "119.5"):
        assert shown in page.text
    state = (await desk.world.row(row.approval_id)).state
    assert (state.verdict, sorted(state.changed)) == (Verdict.CORRECTED, ["amount", "amount_tax", "issuer"])


async def test_what_the_whole_answer_must_fulfil_is_told_as_well(desk: Desk) -> None:
    row = await desk.start()
    refused = await decide(await desk.of("ann"), row.approval_id, "correct", f__amount="120")
    assert refused.status == 422
    assert "must equal amount" in refused.text
    assert 'value="120"' in refused.text


async def test_a_correction_that_changes_nothing_is_no_decision(desk: Desk) -> None:
    row = await desk.start()
    refused = await decide(await desk.of("ann"), row.approval_id, "correct")
    assert refused.status == 422
    assert "Nothing is changed; approve it" in refused.text
    assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.OPEN


async def test_deciding_on_what_another_has_changed_is_refused_and_nothing_typed_is_lost(desk: Desk) -> None:
    row = await desk.start(risk=Risk.HIGH)
    ann, ben = await desk.of("ann"), await desk.of("ben")
    path = f"/approvals/{row.approval_id}/correct"
    form = form_in((await ann.get(f"/approvals/{row.approval_id}")).text, path)
    assert (await decide(ben, row.approval_id, "correct", f__issuer="By Ben")).status == 303
    stale = await send(ann, path, form, f__issuer="By Ann")
    assert stale.status == 409
    assert "did not count" in stale.text
    assert 'value="By Ann"' in stale.text
    assert 'data-initial="By Ben"' in stale.text
    state = (await desk.world.row(row.approval_id)).state
    assert [consent.by for consent in state.given] == ["ben"]
    assert (await send(ann, path, form_in(stale.text, path))).status == 303
    assert (await desk.world.row(row.approval_id)).state.given[0].by == "ann"


async def test_deciding_too_late_tells_who_was_first_and_what_one_had_entered(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    address = f"/approvals/{row.approval_id}"
    page = (await ann.get(address)).text
    correction, rejection = form_in(page, f"{address}/correct"), form_in(page, f"{address}/reject")
    assert (await decide(await desk.of("ben"), row.approval_id, "approve")).status == 303
    late = await send(ann, f"{address}/correct", correction, f__issuer="By Ann")
    assert late.status == 409
    assert "by ben" in late.text
    assert "What you had entered" in late.text
    assert "<ins><bdi>By Ann</bdi></ins>" in late.text
    late = await send(ann, f"{address}/reject", rejection, reason="It is <b>wrong</b>")
    assert late.status == 409
    assert "It is &lt;b&gt;wrong&lt;/b&gt;" in late.text


async def test_rejecting_needs_a_reason_which_is_kept(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    refused = await decide(ann, row.approval_id, "reject", reason="  ")
    assert refused.status == 422
    assert "Reject needs a reason" in refused.text
    assert "open data-shown" in refused.text
    answer = await decide(ann, row.approval_id, "reject", reason=f"No order. {HOSTILE}")
    page = await ann.get(answer.location)
    assert "Rejected." in page.text
    assert "No order. &lt;script&gt;alert(1)&lt;/script&gt;⟨202E⟩txt.exe⟨0007⟩" in page.text


async def test_without_scripts_a_dialog_stands_in_the_page(desk: Desk) -> None:
    row = await desk.start(risk=Risk.CRITICAL)
    page = await (await desk.of("ann")).get(f"/approvals/{row.approval_id}?do=approve")
    assert 'id="approve-dialog" aria-labelledby="approve-title" open' in page.text
    assert "one must be a senior" in page.text


async def test_feedback_is_offered_only_where_another_attempt_can_be_made(desk: Desk) -> None:
    row, other = await desk.start(can_ask_again=True), await desk.start()
    ann = await desk.of("ann")
    assert not has_form(
        (await ann.get(f"/approvals/{other.approval_id}")).text, f"/approvals/{other.approval_id}/feedback"
    )
    answer = await decide(ann, row.approval_id, "feedback", reason="Look at the total again")
    page = await ann.get(answer.location)
    assert "The next attempt comes here as a new round" in page.text
    assert "Look at the total again" in page.text


async def test_claiming_delegating_and_more_time(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    for kind, typed in (("claim", {}), ("release", {}), ("extend", {"hours": "2,5"})):
        answer = await decide(ann, row.approval_id, kind, **typed)
        assert answer.status == 303, kind
        assert "banner-good" in (await ann.get(answer.location)).text
    due, then = (await desk.world.row(row.approval_id)).state.due_at, row.state.due_at
    assert due is not None
    assert then is not None
    assert (due - then).total_seconds() == 2.5 * 3600
    wrong = await decide(ann, row.approval_id, "extend", hours="soon")
    assert wrong.status == 400
    assert 'value="soon"' in wrong.text
    assert (await decide(ann, row.approval_id, "delegate", to="nobody-here")).status == 422
    assert (await decide(ann, row.approval_id, "delegate", to="sue")).status == 303
    assert "sue" in (await desk.world.row(row.approval_id)).state.asked


async def test_who_may_not_decide_sees_everything_but_the_actions(desk: Desk) -> None:
    row = await desk.start(submitter="ben", answer={**INVOICE, "issuer": "Seen by all"})
    told = {
        "vera": "you need the role of an approver",
        "ben": "You submitted this document",
    }
    for name, why in told.items():
        page = await (await desk.of(name)).get(f"/approvals/{row.approval_id}")
        assert page.status == 200
        assert "Seen by all" in page.text
        assert why in page.text
        for kind in ActKind:
            assert not has_form(page.text, f"/approvals/{row.approval_id}/{kind.value}"), (name, kind)
    ben = await desk.of("ben")
    forged = await ben.post(f"/approvals/{row.approval_id}/approve", {"shown": row.state.shown, "key": "k"})
    assert forged.status == 403
    assert "somebody else must decide" in forged.text
    olga = (await (await desk.of("olga")).get(f"/approvals/{row.approval_id}")).text
    assert has_form(olga, f"/approvals/{row.approval_id}/extend")
    assert not has_form(olga, f"/approvals/{row.approval_id}/approve")


async def test_another_tenants_approval_is_forbidden_in_every_part(desk: Desk) -> None:
    row = await desk.with_document(b"Total 1", "a.txt")
    eve = await desk.of("eve")
    for part in ("", "/document", "/document/pages/1.png", "/stand"):
        assert (await eve.get(f"/approvals/{row.approval_id}{part}")).status == 403, part
        assert (await eve.get(f"/approvals/nothing-of-the-kind{part}")).status == 404, part
    for kind in ActKind:
        assert (await eve.post(f"/approvals/{row.approval_id}/{kind.value}", {"shown": row.state.shown})).status == 403
    assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.OPEN


async def test_blobs_of_another_tenant_are_not_shown(desk: Desk) -> None:
    foreign = await desk.world.blobs.put("other", b"%PDF-1.4 secret of another tenant")
    row = await desk.start(document=foreign)
    ann = await desk.of("ann")
    assert (await ann.get(f"/approvals/{row.approval_id}")).status == 403
    assert (await ann.get(f"/approvals/{row.approval_id}/document/pages/1.png")).status == 403


async def test_a_pdf_is_shown_as_pictures_that_its_viewers_alone_may_keep(desk: Desk) -> None:
    sample = SAMPLES / "AzureInterior.pdf"
    row = await desk.with_document(sample.read_bytes(), sample.name, answer={**INVOICE, "issuer": "Azure Interior"})
    ann = await desk.of("ann")
    page = (await ann.get(f"/approvals/{row.approval_id}")).text
    assert f"/approvals/{row.approval_id}/document/pages/1.png?width=1000" in page
    assert '<rect data-field="issuer"' in page
    async with ann.http.get(
        f"{ann.address}/approvals/{row.approval_id}/document/pages/1.png?width=500",
        headers={"Cookie": "; ".join(f"{name}={value}" for name, value in ann.cookies.items())},
    ) as answer:
        assert answer.status == 200
        assert (await answer.read()).startswith(b"\x89PNG")
        assert answer.headers["Cache-Control"].startswith("private, max-age=")
    part = await ann.get(f"/approvals/{row.approval_id}/document?page=1&view=text", {"HX-Request": "true"})
    assert '<mark data-field="issuer">Azure Interior</mark>' in part.text
    assert "<html" not in part.text
    assert (await ann.get(f"/approvals/{row.approval_id}/document/pages/99.png")).status == 404


async def test_hostile_text_stays_text(desk: Desk) -> None:
    answer = {**INVOICE, "issuer": HOSTILE, "invoice_number": '1"><img src=x onerror=alert(1)>'}
    row = await desk.with_document(f"Bill of {HOSTILE}".encode(), f"a{HOSTILE}.txt", answer=answer, reasons=(HOSTILE,))
    for name in ("ann", "vera"):
        page = (await (await desk.of(name)).get(f"/approvals/{row.approval_id}")).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨202E⟩txt.exe" in page


async def test_an_answer_that_was_not_valid_is_shown_with_its_problems_and_can_be_corrected(desk: Desk) -> None:
    draft = await desk.world.json_blob({**INVOICE, "currency": "LIRA"})
    row = await desk.start(answer=None, draft=draft, problems=(Problem(field="currency", code="iso_4217"),))
    ann = await desk.of("ann")
    page = (await ann.get(f"/approvals/{row.approval_id}")).text
    assert "There is no valid answer to approve" in page
    assert 'value="LIRA"' in page
    assert "ust be an ISO 4217 currency code" in page
    assert not has_form(page, f"/approvals/{row.approval_id}/approve")
    assert (await decide(ann, row.approval_id, "correct", f__currency="EUR")).status == 303
    assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.CORRECTED


async def test_of_a_job_that_is_gone_the_json_is_shown_and_it_can_be_decided(desk: Desk) -> None:
    row = await desk.start(job="gone-job", step="s", answer={"a": {"b": "<i>"}})
    ann = await desk.of("ann")
    page = (await ann.get(f"/approvals/{row.approval_id}")).text
    assert "not in this catalog" in page
    assert "&#34;b&#34;: &#34;&lt;i&gt;&#34;" in page
    assert not has_form(page, f"/approvals/{row.approval_id}/correct")
    forged = await ann.post(f"/approvals/{row.approval_id}/correct", {"shown": row.state.shown, "f.a": "1"})
    assert forged.status == 422
    assert (await decide(ann, row.approval_id, "approve")).status == 303


async def test_a_page_that_is_open_hears_that_something_changed(desk: Desk) -> None:
    row = await desk.start(risk=Risk.HIGH)
    ann = await desk.of("ann")
    stand = f"/approvals/{row.approval_id}/stand?shown={row.state.shown}&revision={row.state.revision}"
    assert "data-moved" not in (await ann.get(stand)).text
    await decide(await desk.of("ben"), row.approval_id, "claim")
    claimed = (await ann.get(stand)).text
    assert "data-moved" not in claimed
    assert "<bdi>ben</bdi>" in claimed
    await decide(await desk.of("ben"), row.approval_id, "correct", f__issuer="Other")
    assert "data-moved" in (await ann.get(stand)).text


async def test_who_sends_without_the_token_decides_nothing(desk: Desk) -> None:
    row = await desk.start()
    ann = await desk.of("ann")
    answer = await ann.post(f"/approvals/{row.approval_id}/approve", {"csrf": "other", "shown": row.state.shown})
    assert answer.status == 403
    assert (await desk.world.row(row.approval_id)).state.verdict is Verdict.OPEN


async def test_it_links_to_its_run_and_to_temporal(desk: Desk) -> None:
    row = await desk.start()
    page = (await (await desk.of("ann")).get(f"/approvals/{row.approval_id}")).text
    assert f'href="/runs/{row.request.run_id}"' in page
    assert f"/namespaces/default/workflows/{row.approval_id}" in page
    assert row.request.tenant == TENANT
