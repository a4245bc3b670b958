"""The inbox in a real SQLite file."""

import asyncio
import base64
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.approvals.rows import ApprovalRows, Wanted
from activities.approvals.rows_queries import Order
from engross.contracts import ApprovalNote, Risk, Verdict
from engross.errors import InvalidRequest
from tests.activities.approvals.records import NOW, database_at, note, scattered


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[ApprovalRows]:
    async with database_at(tmp_path) as database:
        rows = ApprovalRows(database)
        await rows.start()
        yield rows


async def put(rows: ApprovalRows, *notes: ApprovalNote) -> None:
    for each in notes:
        await rows.put(each)


async def ids(rows: ApprovalRows, **wanted: Any) -> list[str]:
    page = await rows.page(Wanted(**wanted))
    assert page.total == len(page.rows)
    return [row.approval_id for row in page.rows]


async def test_a_row_is_what_was_noted(rows: ApprovalRows) -> None:
    noted = note("r-approval", request={"document_name": "a\0b.pdf", "priority": 2}, state={"claimed_by": "anna"})
    with_state = noted.model_copy(update={"request": noted.request.model_copy(update={"state": noted.state})})
    await put(rows, with_state)

    row = await rows.get("r-approval")
    assert row is not None
    assert (row.approval_id, row.attempt, row.opened_at) == ("r-approval", "attempt-1", NOW)
    assert (row.request, row.state) == (noted.request, noted.state), "the state of an earlier execution is left out"
    assert await rows.of_run("r") == row
    assert await rows.of_run("r\0") is await rows.get("") is None
    assert (datetime.now(UTC) - row.changed_at) < timedelta(minutes=1)


async def test_newer_wins(rows: ApprovalRows) -> None:
    async def attempt_and_revision(new: ApprovalNote) -> tuple[str, int]:
        await put(rows, new)
        row = await rows.get(new.approval_id)
        assert row is not None
        return row.attempt, row.state.revision

    later = NOW + timedelta(seconds=1)
    assert await attempt_and_revision(note(state={"revision": 2})) == ("attempt-1", 2)
    assert await rows.changes() == 1
    assert await attempt_and_revision(note(state={"revision": 2, "claimed_by": "eve"})) == ("attempt-1", 2)
    assert await attempt_and_revision(note(state={"revision": 1})) == ("attempt-1", 2)
    assert await attempt_and_revision(note(attempt="attempt-2", state={"revision": 1})) == ("attempt-1", 2)
    assert await rows.changes() == 1, "what changes nothing is no change"
    assert await attempt_and_revision(note(state={"revision": 3})) == ("attempt-1", 3)
    assert await attempt_and_revision(note(attempt="attempt-2", state={"revision": 1, "opened_at": later})) == (
        "attempt-2",
        1,
    )
    assert await attempt_and_revision(note(state={"revision": 9})) == ("attempt-2", 1)
    goes_on = note(attempt="attempt-3", state={"revision": 2, "opened_at": later})
    assert await attempt_and_revision(goes_on) == ("attempt-3", 2)
    assert await rows.changes() == 4


async def test_a_note_without_an_opening_time_is_refused(rows: ApprovalRows) -> None:
    with pytest.raises(InvalidRequest, match="opened"):
        await put(rows, note(state={"opened_at": None}))
    assert await rows.changes() == 0


async def test_filters(rows: ApprovalRows) -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=2)
    await put(
        rows,
        note(
            "a",
            request={"risk": "high", "document_name": "Straße_1%.pdf"},
            state={"asked": ("legal", "bob"), "opened_at": now},
        ),
        note("b", request={"tenant": "other", "job": "cv"}, state={"claimed_by": "anna", "opened_at": old}),
        note("c", request={"document_name": "ARZT\N{COMBINING DIAERESIS}"}, state={"verdict": Verdict.REJECTED}),
    )
    newer = timedelta(days=1)
    for wanted, found in (
        ({}, ["b", "a"]),
        ({"verdict": None}, ["b", "a", "c"]),
        ({"verdict": Verdict.REJECTED}, ["c"]),
        ({"tenants": frozenset({"other"})}, ["b"]),
        ({"tenants": frozenset({"other", "acme"})}, ["b", "a"]),
        ({"tenants": frozenset()}, []),
        ({"tenants": frozenset({"ac\0me"})}, []),
        ({"job": "cv"}, ["b"]),
        ({"risk": Risk.HIGH}, ["a"]),
        ({"claimed_by": "anna"}, ["b"]),
        ({"claimed_by": ""}, ["a"]),
        ({"older_than": newer}, ["b"]),
        ({"asked_any": frozenset({"bob", "nobody"})}, ["a"]),
        ({"asked_any": frozenset({"BOB", "bo", "legal\n\nbob"})}, []),
        ({"asked_any": frozenset()}, []),
        ({"asked_any": frozenset({"approvers"})}, ["b"]),
        ({"text": "STRASSE"}, ["a"]),
        ({"text": " straße "}, ["a"]),
        ({"text": "1%"}, ["a"]),
        ({"text": "%"}, ["a"]),
        ({"text": "e_1"}, ["a"]),
        ({"text": "s_rasse"}, []),
        ({"text": "/"}, []),
        ({"text": "\0"}, []),
        ({"text": "arzẗ", "verdict": None}, ["c"]),
    ):
        due_first = {"b": 0, "a": 1, "c": 2}
        assert sorted(await ids(rows, **wanted), key=due_first.__getitem__) == found, wanted


@pytest.mark.parametrize("wanted", [{"text": "x" * 201}, {"older_than": timedelta(days=900_000)}])
async def test_what_cannot_be_searched_is_refused(rows: ApprovalRows, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await rows.page(Wanted(**wanted))


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_pages_have_bounds(rows: ApprovalRows, limit: int) -> None:
    with pytest.raises(InvalidRequest):
        await rows.page(Wanted(), limit=limit)


@pytest.mark.parametrize("order", ["priority", "newest"])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_join_without_gap_or_repeat(rows: ApprovalRows, order: Order, limit: int) -> None:
    notes = scattered(30)
    await put(rows, *notes)

    def place(each: ApprovalNote) -> Any:
        due = each.state.due_at or datetime.max.replace(tzinfo=UTC)
        return (min(max(each.request.priority, 1), 5), due, each.approval_id)

    expected = sorted(notes, key=place)
    if order == "newest":
        expected = sorted(notes, key=lambda each: (each.state.opened_at, each.approval_id), reverse=True)
    found: list[str] = []
    after: str | None = None
    while True:
        page = await rows.page(Wanted(order=order), after=after, limit=limit)
        found += [row.approval_id for row in page.rows]
        assert page.total == 30
        if (after := page.next) is None:
            break
    assert found == [each.approval_id for each in expected]


async def test_a_cursor_that_nobody_gave_out_is_refused(rows: ApprovalRows) -> None:
    await put(rows, *scattered(3))
    cursor = (await rows.page(Wanted(), limit=1)).next
    assert cursor is not None
    of_no_order = base64.urlsafe_b64encode(json.dumps(["newest", 1, "", ""]).encode()).decode()
    for bad in (
        of_no_order,
        "",
        "x",
        cursor[:-3],
        cursor + "%",
        "ü",
        "W10",
        "MQ",
        "W" * 3000,
        "WyJwcmlvcml0eSIsMSwyLDNd",
        "bnVsbA",
    ):
        with pytest.raises(InvalidRequest):
            await rows.page(Wanted(), after=bad)
    with pytest.raises(InvalidRequest):
        await rows.page(Wanted(order="newest"), after=cursor)


async def test_many_writers_lose_nothing_and_every_change_counts(rows: ApprovalRows, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        others = [ApprovalRows(await stack.enter_async_context(database_at(tmp_path))) for _ in range(4)]
        await asyncio.gather(*(each.start() for each in others))
        shared = [note(f"{number}-approval", state={"revision": place}) for number in range(5) for place in (1, 2, 3)]
        own = [[note(f"{place}-{number}-approval") for number in range(10)] for place in range(4)]
        await asyncio.gather(*(put(each, *own[place], *shared) for place, each in enumerate(others)))
    assert {row.state.revision for row in (await rows.page(Wanted(text="-approval"), limit=100)).rows} == {1, 3}
    with contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as file:
        numbers = [number for (number,) in file.execute("SELECT sequence FROM approvals ORDER BY sequence")]
    assert len(set(numbers)) == 45
    # Each of them writes revisions in order, so that each revision of the shared ones is news once.
    assert numbers[-1] == await rows.changes() == 40 + 15
