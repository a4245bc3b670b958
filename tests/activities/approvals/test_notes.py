"""`note_approval`, and the cases that it keeps, in a real SQLite file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from activities.approvals.audit import AuditLog
from activities.approvals.cases import Case, Cases
from activities.approvals.notes import Noting
from activities.approvals.rows import ApprovalRows
from engross.contracts import ApprovalNote, EventKind, Noted, TextRef, Verdict
from engross.errors import InvalidRequest
from tests.activities.approvals.records import NOW, SECRET, blob, database_at, event, note
from tests.metrics import counted


@dataclass(frozen=True)
class Stores:
    noting: Noting
    rows: ApprovalRows
    audit: AuditLog
    cases: Cases

    async def everything(self) -> object:
        lines = [line async for line in self.audit.export()]
        return await self.rows.get("run-1-approval"), await self.rows.changes(), lines, await self.of("invoice")

    async def of(self, job: str, tenant: str | None = None, since: date | None = None) -> list[Case]:
        return [case async for case in self.cases.of(job, tenant=tenant, since=since)]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with database_at(tmp_path) as database:
        rows, audit, cases = ApprovalRows(database), AuditLog(database, SECRET), Cases(database)
        for each in (rows, audit, cases):
            await each.start()
        yield Stores(Noting(database=database, rows=rows, audit=audit, cases=cases), rows, audit, cases)


def corrected(approval_id: str = "run-1-approval", **fields: object) -> ApprovalNote:
    request = {
        "document": blob("d"),
        "document_name": "a.pdf",
        "text": TextRef(tenant="acme", sha256="e" * 64, size=3),
        "step": "extract",
        **fields,
    }
    state = {
        "verdict": Verdict.CORRECTED,
        "answer": blob("b"),
        "changed": ("total", "lines.0.price"),
        "decided_by": ("anna", "bob"),
        "decided_at": NOW,
        "revision": 4,
    }
    happened = [
        event(1),
        event(2, EventKind.CORRECTED, by="anna", source="console", address="10.0.0.1", shown="s" * 64, before="a" * 64,
              after="b" * 64, detail="total", is_signed=True),
        event(3, EventKind.CLOSED),
    ]  # fmt: skip
    return note(approval_id, request=request, state=state, events=happened)


async def test_a_note_is_a_row_lines_and_a_case(stores: Stores) -> None:
    assert await stores.noting.note_approval(corrected()) == Noted()

    row = await stores.rows.get("run-1-approval")
    assert row is not None
    assert row.state.verdict is Verdict.CORRECTED
    lines = await stores.audit.of("run-1-approval")
    assert [(line.tenant, line.actor, line.action, line.event_id) for line in lines] == [
        ("acme", "engross", "approval.opened", "attempt-1/1"),
        ("acme", "anna", "approval.corrected", "attempt-1/2"),
        ("acme", "engross", "approval.closed", "attempt-1/3"),
    ]
    said = lines[1]
    assert (said.at, said.source, said.address, said.shown, said.before, said.after, said.detail, said.is_signed) == (
        NOW, "console", "10.0.0.1", "s" * 64, "a" * 64, "b" * 64, "total", True,
    )  # fmt: skip
    assert await stores.audit.verify() == []
    [case] = await stores.of("invoice")
    assert case == Case(
        approval_id="run-1-approval",
        attempt="attempt-1",
        job="invoice",
        tenant="acme",
        step="extract",
        document_sha256="d" * 64,
        document_name="a.pdf",
        text=TextRef(tenant="acme", sha256="e" * 64, size=3),
        before=blob("a"),
        after=blob("b"),
        changed=("total", "lines.0.price"),
        by=("anna", "bob"),
        at=NOW,
    )


async def test_it_says_whether_notices_can_be_sent(stores: Stores, tmp_path: Path) -> None:
    async with database_at(tmp_path) as database:
        telling = Noting(database=database, rows=stores.rows, audit=stores.audit, cases=stores.cases, has_channels=True)
        assert await telling.note_approval(note()) == Noted(has_channels=True)


async def test_repeating_it_changes_nothing(stores: Stores) -> None:
    await stores.noting.note_approval(corrected())
    before = await stores.everything()
    await stores.noting.note_approval(corrected())
    assert await stores.everything() == before


async def test_a_verdict_is_counted_once(stores: Stores) -> None:
    late = event(4, EventKind.REFUSED, by="zoe", detail="approve: LateDecision", at=NOW + timedelta(hours=1))
    closed = corrected()
    after = note(request={"step": "extract"}, state={**dict(closed.state), "revision": 5}, events=[late])
    with counted() as grown:
        await stores.noting.note_approval(note(events=[event(1)]))
        for told in (closed, closed, after):
            await stores.noting.note_approval(told)
    assert grown == {"engross_approval_decisions_total{job=invoice,tenant=acme,verdict=corrected}": 1}


async def test_all_is_written_or_nothing(stores: Stores) -> None:
    bad = corrected()
    bad = bad.model_copy(update={"state": bad.state.model_copy(update={"opened_at": None})})
    before = await stores.everything()
    with pytest.raises(InvalidRequest):
        await stores.noting.note_approval(bad)
    assert await stores.everything() == before


async def test_a_note_that_comes_late_is_in_the_log_but_not_in_the_inbox(stores: Stores) -> None:
    await stores.noting.note_approval(note(state={"revision": 2}, events=[event(2, EventKind.CLAIMED, by="bob")]))
    await stores.noting.note_approval(note(state={"revision": 1}, events=[event(1)]))
    row = await stores.rows.get("run-1-approval")
    assert row is not None
    assert row.state.revision == 2
    assert [line.action for line in await stores.audit.of("run-1-approval")] == ["approval.claimed", "approval.opened"]


async def test_only_approved_corrections_are_cases(stores: Stores) -> None:
    open_note, right = corrected(), corrected("run-2-approval", answer=None, draft=blob("f"), tenant="other")
    still_open = open_note.state.model_copy(update={"verdict": Verdict.OPEN, "is_corrected": True})
    await stores.noting.note_approval(open_note.model_copy(update={"state": still_open}))
    await stores.noting.note_approval(right)
    [case] = await stores.of("invoice")
    assert (case.approval_id, case.before) == ("run-2-approval", blob("f")), "a draft stands in where nothing was valid"


async def test_cases_are_filtered_and_cross_pages(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.approvals.cases._PAGE", 2)
    for number in range(7):
        made = corrected(f"{number}-approval", tenant="acme" if number % 2 else "other")
        state = made.state.model_copy(update={"decided_at": NOW + timedelta(days=number // 3)})
        await stores.noting.note_approval(made.model_copy(update={"state": state}))
    assert [case.approval_id[0] for case in await stores.of("invoice")] == list("0123456")
    assert [case.approval_id[0] for case in await stores.of("invoice", "acme")] == list("135")
    assert [case.approval_id[0] for case in await stores.of("invoice", since=date(2026, 3, 2))] == list("3456")
    assert await stores.of("other") == []
