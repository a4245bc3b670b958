"""Inbox, audit log and cases on a PostgreSQL server of their own: what differs from SQLite."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from activities.approvals.audit import AuditLog
from activities.approvals.cases import Cases
from activities.approvals.chain import Flaw
from activities.approvals.notes import Noting
from activities.approvals.rows import ApprovalRows, Wanted
from activities.storage.database import Database
from engross.contracts import EventKind, Verdict
from engross.errors import ServiceUnavailable
from tests.activities.approvals.records import NOW, SECRET, blob, entry, event, note
from tests.postgresql import IS_INSTALLED, running_postgresql

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def url(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    with running_postgresql(unused_tcp_port_factory()) as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty database, once the server answers."""
    database = Database.open(url)
    async with asyncio.timeout(20):
        while True:
            try:
                async with database.writing() as connection:
                    await connection.execute(text("DROP SCHEMA public CASCADE"))
                    await connection.execute(text("CREATE SCHEMA public"))
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
            else:
                break
    yield database
    await database.close()


async def test_many_connections_append_one_chain(database: Database, url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        databases = [database, *(Database.open(url) for _ in range(5))]
        for each in databases[1:]:
            stack.push_async_callback(each.close)
        logs = [AuditLog(each, SECRET) for each in databases]
        await asyncio.gather(*(log.start() for log in logs))

        async def write(place: int) -> None:
            for number in range(30):
                tenants = ("acme", "new", "*") if place % 2 else ("*", "new", "acme")
                await logs[place].append([entry(100 * (place // 2) + number, tenant) for tenant in tenants])

        verified = asyncio.gather(*(logs[0].verify() for _ in range(10)))
        await asyncio.gather(*map(write, range(6)))
        assert await verified == [[]] * 10
        assert [(head.tenant, head.count) for head in await logs[0].heads()] == [("*", 90), ("acme", 90), ("new", 90)]
        assert await logs[1].verify() == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE number = 1"],
)
async def test_the_database_refuses_changes_and_the_chain_shows_them(database: Database, statement: str) -> None:
    log = AuditLog(database, SECRET)
    await log.start()
    await log.start()
    await log.append([entry(1, actor="a\0b"), entry(2)])
    with pytest.raises(ServiceUnavailable):
        async with database.writing() as connection:
            await connection.execute(text(statement))
    assert await log.verify() == []

    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        await connection.execute(text(statement))
    found = {each.problem for each in await log.verify()}
    assert found == {Flaw.EDITED} if "UPDATE" in statement else found in ({Flaw.CUT_OFF}, {Flaw.MISSING})


async def test_notes_race_and_repeat(database: Database, url: str) -> None:
    other = Database.open(url)
    try:
        nodes = []
        for each in (database, other):
            rows, audit, cases = ApprovalRows(each), AuditLog(each, SECRET), Cases(each)
            await asyncio.gather(rows.start(), audit.start(), cases.start())
            nodes.append(Noting(database=each, rows=rows, audit=audit, cases=cases))
        corrected = {"verdict": Verdict.CORRECTED, "answer": blob("b"), "decided_by": ("anna",), "decided_at": NOW}
        notes = [
            note(
                f"{number}-approval",
                attempt=f"attempt-{number}",
                request={"tenant": f"tenant-{number % 3}", "document_name": "Straße\0.pdf"},
                state={"revision": revision, **(corrected if revision == 3 else {})},
                events=[event(revision, EventKind.CLAIMED)],
            )
            for number in range(12)
            for revision in (1, 2, 3)
        ]
        await asyncio.gather(*(node.note_approval(each) for node in nodes for each in (*notes, *notes[::-1])))

        page = await rows.page(Wanted(verdict=None, text="STRASSE", order="newest"), limit=5)
        assert (len(page.rows), page.total) == (5, 12)
        assert {row.state.revision for row in page.rows} == {3}
        assert len([case async for case in cases.of("invoice")]) == 12
        assert [head.count for head in await audit.heads()] == [12, 12, 12]
        assert await audit.verify() == []
    finally:
        await other.close()


async def test_every_change_counts(database: Database, url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for _ in range(4):
            each = Database.open(url)
            stack.push_async_callback(each.close)
            stores.append(ApprovalRows(each))
        await stores[0].start()
        made = [[note(f"{place}-{number}-approval") for number in range(20)] for place in range(4)]

        async def write(place: int) -> None:
            for each in made[place]:
                await stores[place].put(each)

        await asyncio.gather(*map(write, range(4)))
        assert await stores[0].changes() == 80


async def test_lists_and_filters_are_those_of_sqlite(database: Database) -> None:
    rows = ApprovalRows(database)
    await rows.start()
    for number in range(9):
        state = {"asked": ("legal",) if number % 2 else ("approvers",), "due_at": NOW + timedelta(hours=number % 4)}
        await rows.put(note(f"{number}-approval", request={"priority": 1 + number % 3}, state=state))
    found: list[str] = []
    after: str | None = None
    while True:
        page = await rows.page(Wanted(), after=after, limit=2)
        found += [row.approval_id[0] for row in page.rows]
        if (after := page.next) is None:
            break
    assert found == sorted(map(str, range(9)), key=lambda each: (int(each) % 3, int(each) % 4, each))
    assert await rows.changes() == 9
    assert (await rows.page(Wanted(asked_any=frozenset({"legal"}), text="%"))).total == 0
    assert (await rows.page(Wanted(asked_any=frozenset({"legal", "x\0"})))).total == 4
    assert (await rows.page(Wanted(tenants=frozenset(), job="\0"))).total == 0
    assert await rows.get("\0") is None
    cursor = base64.urlsafe_b64encode(json.dumps(["priority", 1, "\0", ""]).encode()).decode()
    assert (await rows.page(Wanted(), after=cursor)).total == 9
