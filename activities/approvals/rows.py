"""The inbox: a row for each approval, for lists and search. The workflow is the truth, this is its index."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.approvals.rows_queries import SHOWN, Wanted, count_query, cursor_at, folded, listed, page_query
from activities.approvals.rows_tables import APPROVALS, CHANGES, ROW_INDEXES
from activities.storage.database import Database, Excluded
from activities.storage.rows import stamp, storable
from engross.contracts import ApprovalNote, ApprovalRequest, ApprovalState
from engross.errors import InvalidRequest

__all__ = ["ApprovalRow", "ApprovalRows", "Page", "Wanted"]

MOST_ROWS: Final = 500
"""Rows of a page."""

# Sorts behind every time: what is never due comes last.
_NEVER: Final = "9999-12-31T23:59:59.999999+00:00"
_ALL: Final = "all"
_FIRST_PRIORITY, _LAST_PRIORITY = 1, 5


@dataclass(frozen=True)
class ApprovalRow:
    """An approval as it was last noted, in UTC. `attempt` tells executions with the same approval id apart."""

    approval_id: str
    attempt: str
    request: ApprovalRequest
    state: ApprovalState
    opened_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Page:
    """Some rows, the cursor of the page behind them (None: there is none), and how many rows all pages have."""

    rows: list[ApprovalRow]
    next: str | None
    total: int


class ApprovalRows:
    """Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        statement = database.insert(APPROVALS)
        new = statement.excluded
        self._put = statement.on_conflict_do_update(
            index_elements=[APPROVALS.c.approval_id],
            set_={column.name: new[column.name] for column in APPROVALS.columns if not column.primary_key},
            where=_is_newer(new),
        ).returning(APPROVALS.c.sequence)

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create((APPROVALS, CHANGES), ROW_INDEXES)
        async with self._database.writing() as connection:
            counter = self._database.insert(CHANGES).values(name=_ALL, number=0)
            await connection.execute(counter.on_conflict_do_nothing())

    async def put(self, note: ApprovalNote) -> None:
        """Stores where an approval stands, unless something newer is stored. Raises `InvalidRequest`, see `write`."""
        async with self._database.writing() as connection:
            await self.write(connection, note)

    async def write(self, connection: AsyncConnection, note: ApprovalNote) -> bool:
        """`put` in a transaction of the caller's; whether the note is newer than what was stored.

        A note is newer when its attempt is the same and its revision higher, or when it is of another attempt that
        opened later, or at the same time with a higher revision. Raises `InvalidRequest` when it says no opening time.
        """
        # Locks the counter, and in SQLite the database, before anything is read.
        lock = update(CHANGES).where(CHANGES.c.name == _ALL).values(number=CHANGES.c.number).returning(CHANGES.c.number)
        number: int = (await connection.execute(lock)).scalar_one() + 1
        is_newer = (await connection.execute(self._put, _row_of(note, number))).first() is not None
        if is_newer:
            await connection.execute(update(CHANGES).where(CHANGES.c.name == _ALL).values(number=number))
        return is_newer

    async def get(self, approval_id: str) -> ApprovalRow | None:
        """The approval of that id; None when there is none."""
        return await self._one(_rows().where(APPROVALS.c.approval_id == storable(approval_id)))

    async def of_run(self, run_id: str) -> ApprovalRow | None:
        """The last approval that the run `run_id` waited for; None when there was none."""
        of_run = _rows().where(APPROVALS.c.run_id == storable(run_id))
        return await self._one(of_run.order_by(APPROVALS.c.opened_at.desc()).limit(1))

    async def page(self, wanted: Wanted, *, after: str | None = None, limit: int = 50) -> Page:
        """The first rows that are wanted, or those behind the cursor `after`.

        Raises `InvalidRequest` for a cursor of another order or of nobody's making, for a search that is too long, and
        for a limit that is not from 1 to `MOST_ROWS`.
        """
        if not 1 <= limit <= MOST_ROWS:
            raise InvalidRequest(f"a page has 1 to {MOST_ROWS} rows")
        # One more than asked for shows whether there is a page behind this one.
        found = await self._database.fetch(page_query(wanted, after, limit + 1))
        is_all = after is None and len(found) <= limit
        total = len(found) if is_all else (await self._database.fetch(count_query(wanted)))[0]["total"]
        following = cursor_at(wanted.order, found[limit - 1]) if len(found) > limit else None
        return Page([_value_of(row) for row in found[:limit]], following, total)

    async def changes(self) -> int:
        """A number that grows with every change to a row, in the order in which changes can be seen."""
        found = await self._database.fetch(select(CHANGES.c.number))
        return int(found[0]["number"]) if found else 0

    async def _one(self, query: Select[Any]) -> ApprovalRow | None:
        found = await self._database.fetch(query)
        return _value_of(found[0]) if found else None


def _rows() -> Select[Any]:
    return select(*(APPROVALS.c[name] for name in SHOWN))


def _is_newer(new: Excluded) -> ColumnElement[bool]:
    old = APPROVALS.c
    is_further = new.revision > old.revision
    is_later = or_(new.opened_at > old.opened_at, and_(new.opened_at == old.opened_at, is_further))
    return or_(and_(new.attempt == old.attempt, is_further), and_(new.attempt != old.attempt, is_later))


def _row_of(note: ApprovalNote, number: int) -> dict[str, Any]:
    request, state = note.request, note.state
    if state.opened_at is None:
        raise InvalidRequest("a note on an approval must say when that was opened")
    row = {
        "approval_id": note.approval_id,
        "attempt": note.attempt,
        "run_id": request.run_id,
        "tenant": request.tenant,
        "job": request.job,
        "risk": str(request.risk),
        "verdict": str(state.verdict),
        "document_name": request.document_name,
        "claimed_by": state.claimed_by,
        "opened_at": stamp(state.opened_at),
        "due_at": stamp(state.due_at) if state.due_at else _NEVER,
        "changed_at": stamp(datetime.now(UTC)),
        "decided_at": stamp(state.decided_at) if state.decided_at else "",
        "asked": listed(state.asked),
        "searched": folded("\n".join((request.document_name, request.run_id, note.approval_id))),
        # A request that goes on from an earlier execution carries the state of that one.
        "request": request.model_copy(update={"state": None}).model_dump_json(),
        "state": state.model_dump_json(),
    }
    numbers = {
        "revision": state.revision,
        "priority": min(max(request.priority, _FIRST_PRIORITY), _LAST_PRIORITY),
        "round": request.round,
        "sequence": number,
    }
    return {name: storable(value) for name, value in row.items()} | numbers


def _value_of(row: RowMapping) -> ApprovalRow:
    return ApprovalRow(
        approval_id=row["approval_id"],
        attempt=row["attempt"],
        request=ApprovalRequest.model_validate_json(row["request"]),
        state=ApprovalState.model_validate_json(row["state"]),
        opened_at=datetime.fromisoformat(row["opened_at"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
    )
