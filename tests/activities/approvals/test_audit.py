"""The audit log in a real SQLite file: appending, reading, exporting; for edits, see the tests of tampering."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from activities.approvals.audit import AuditLog
from activities.approvals.chain import FIRST
from engross.errors import InvalidRequest
from tests.activities.approvals.records import NOW, SECRET, database_at, entry

LINES = 7


@pytest.fixture
async def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AuditLog]:
    monkeypatch.setattr("activities.approvals.audit_verify._PAGE", 3)
    monkeypatch.setattr("activities.approvals.audit._PAGE", 3)
    async with database_at(tmp_path) as database:
        log = AuditLog(database, SECRET)
        await log.start()
        await log.append([entry(number) for number in range(1, LINES + 1)])
        await log.append([entry(1, "other"), entry(2, "other")])
        yield log


async def test_a_log_that_nobody_touched_is_whole(log: AuditLog) -> None:
    assert await log.verify() == []
    assert [(head.tenant, head.count) for head in await log.heads()] == [("acme", LINES), ("other", 2)]
    lines = [line async for line in log.export("acme")]
    assert [line.number for line in lines] == list(range(1, LINES + 1))
    assert [line.previous for line in lines] == [FIRST, *(line.hash for line in lines[:-1])]
    assert (await log.heads("acme"))[0].hash == lines[-1].hash
    assert {(line.actor, line.action, line.subject) for line in lines} == {
        ("anna", "approval.approved", "run-1-approval")
    }


async def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    async with database_at(tmp_path) as database:
        log = AuditLog(database, SECRET)
        await log.start()
        await log.append([])
        assert (await log.verify(), await log.heads()) == ([], [])
        assert [line async for line in log.export()] == []


async def test_the_same_event_twice_is_one_line(log: AuditLog) -> None:
    await log.append([entry(3), entry(8), entry(8), entry(3, "other")])
    await log.append([entry(8)])
    assert [line.event_id async for line in log.export("acme")] == [f"attempt-1/{number}" for number in range(1, 9)]
    assert (await log.heads("other"))[0].count == 3
    assert await log.verify() == []


async def test_events_without_an_id_are_lines_of_their_own(log: AuditLog) -> None:
    await log.append([entry(9, "*", event_id="", subject="anna"), entry(9, "*", event_id="", subject="anna")])
    assert [line.number for line in await log.of("anna")] == [1, 2]
    assert await log.verify() == []


async def test_one_bad_entry_appends_none(log: AuditLog) -> None:
    with pytest.raises(InvalidRequest, match="tenant"):
        await log.append([entry(8), entry(9, "")])
    assert (await log.heads("acme"))[0].count == LINES


async def test_hostile_text_is_kept_within_bounds_and_verifies(log: AuditLog) -> None:
    await log.append([entry(8, actor="a\0b\ud800", detail="x" * 10_000, address="\x1b[31m")])
    line = (await log.of("run-1-approval"))[LINES]
    assert (line.actor, len(line.detail), line.address) == ("a\N{REPLACEMENT CHARACTER}b?", 4000, "\x1b[31m")
    assert await log.verify() == []


async def test_an_export_since_a_day_leaves_nothing_out_after_it(log: AuditLog) -> None:
    late, early = NOW.replace(month=4), NOW.replace(month=2)
    await log.append([entry(8, at=late), entry(9, at=early), entry(10, at=late)])
    assert [line.number async for line in log.export(since=date(2026, 4, 1))] == [8, 9, 10]
    assert [line.number async for line in log.export(since=date(2026, 5, 1))] == []


async def test_the_database_refuses_changes(log: AuditLog, tmp_path: Path) -> None:
    copy = "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE number = 1"
    for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit", copy):
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "results.db")) as file,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            file.execute(statement)
    assert await log.verify() == []


# --- many at once -------------------------------------------------------------------------------------------------


async def test_many_connections_append_one_chain(log: AuditLog, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        logs = [AuditLog(await stack.enter_async_context(database_at(tmp_path)), SECRET) for _ in range(5)]
        await asyncio.gather(*(each.start() for each in logs))

        async def write(place: int) -> None:
            for number in range(20):
                # Every event from two of them, two tenants in either order, and a tenant that is new.
                tenants = ("acme", "new") if place % 2 else ("new", "acme")
                await logs[place].append([entry(100 * (place // 2) + number, tenant) for tenant in tenants])

        verified = asyncio.gather(*(log.verify() for _ in range(10)))
        await asyncio.gather(*map(write, range(5)))
        assert await verified == [[]] * 10
    # Three series of 20, of which acme had seven.
    assert [(head.tenant, head.count) for head in await log.heads()] == [("acme", 60), ("new", 60), ("other", 2)]
    assert await log.verify() == []
