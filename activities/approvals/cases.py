"""Labelled cases: what people corrected, kept for later evaluation."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Column, Index, MetaData, RowMapping, Table, Text, tuple_
from sqlalchemy import select as _select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.storage.database import Database
from activities.storage.rows import stamp, storable
from engross.contracts import ApprovalNote, BlobRef, Contract, TextRef

CASES: Final = Table(
    "cases",
    MetaData(),
    Column("approval_id", Text, primary_key=True),
    Column("attempt", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("document_sha256", Text, nullable=False),
    Column("document_name", Text, nullable=False),
    Column("text", Text),
    Column("before", Text),
    Column("after", Text, nullable=False),
    Column("changed", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
)
CASE_INDEXES: Final = (Index("cases_of_job", CASES.c.job, CASES.c.at, CASES.c.approval_id, CASES.c.attempt),)

_PAGE: Final = 500
_NAMES: Final = TypeAdapter(tuple[str, ...])


class Case(Contract):
    """An answer that people corrected. `before` is the answer that was proposed, or, where none was valid, the last
    draft as the model wrote it, if there was one; `after` what was approved in its place, an answer of `step`.

    `changed` are the dotted paths at which they differ, `by` who approved, `at` when (UTC).
    """

    approval_id: str
    attempt: str
    job: str
    tenant: str
    step: str
    document_sha256: str
    document_name: str
    text: TextRef | None
    before: BlobRef | None
    after: BlobRef
    changed: tuple[str, ...]
    by: tuple[str, ...]
    at: datetime


class Cases:
    """Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        """Creates what is missing. Safe to repeat, and when several processes do it at once."""
        await self._database.create((CASES,), CASE_INDEXES)

    async def write(self, connection: AsyncConnection, note: ApprovalNote) -> None:
        """Keeps the case of an approved correction, once for each attempt, in a transaction of the caller's."""
        row = _row_of(note)
        if row is not None:
            await connection.execute(self._database.insert(CASES).on_conflict_do_nothing(), row)

    async def of(self, job: str, *, tenant: str | None = None, since: date | None = None) -> AsyncIterator[Case]:
        """The cases of `job` from the day `since` (UTC) on, oldest first, page by page."""
        place = tuple_(CASES.c.at, CASES.c.approval_id, CASES.c.attempt)
        query = _select(CASES).where(CASES.c.job == storable(job)).order_by(*place).limit(_PAGE)
        if tenant is not None:
            query = query.where(CASES.c.tenant == storable(tenant))
        if since is not None:
            query = query.where(CASES.c.at >= since.isoformat())
        page = query
        while found := await self._database.fetch(page):
            for row in found:
                yield _case_of(row)
            last = found[-1]
            page = query.where(place > tuple_(last["at"], last["approval_id"], last["attempt"]))


def _row_of(note: ApprovalNote) -> dict[str, Any] | None:
    """The row of a correction; None when the note is of none."""
    request, state = note.request, note.state
    if state.answer is None or state.decided_at is None:
        return None
    before = request.answer or request.draft
    return {
        "approval_id": storable(note.approval_id),
        "attempt": storable(note.attempt),
        "job": storable(request.job),
        "tenant": storable(request.tenant),
        "step": storable(request.step),
        "document_sha256": request.document.sha256 if request.document else "",
        "document_name": storable(request.document_name),
        "text": request.text.model_dump_json() if request.text else None,
        "before": before.model_dump_json() if before else None,
        "after": state.answer.model_dump_json(),
        "changed": _NAMES.dump_json(state.changed).decode(),
        "by": _NAMES.dump_json(state.decided_by).decode(),
        "at": stamp(state.decided_at),
    }


def _case_of(row: RowMapping) -> Case:
    parsed = {
        "text": TextRef.model_validate_json(row["text"]) if row["text"] else None,
        "before": BlobRef.model_validate_json(row["before"]) if row["before"] else None,
        "after": BlobRef.model_validate_json(row["after"]),
        "changed": _NAMES.validate_json(row["changed"]),
        "by": _NAMES.validate_json(row["by"]),
    }
    return Case.model_validate({**row, **parsed})
