"""The rows of the result store: what they need, and those that are old. The audit log and cases are never deleted."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    delete,
    func,
    select,
    tuple_,
    update,
)

from activities.approvals.cases import CASES, Cases
from activities.approvals.rows import ApprovalRows
from activities.approvals.rows_tables import APPROVALS, CHANGES
from activities.storage import ResultStore
from activities.storage.batches import BATCH_ROWS
from activities.storage.costs import SPENT
from activities.storage.database import Database
from activities.storage.details import DETAILS, of_same_run
from activities.storage.rows import RUNS
from engross.contracts import Verdict
from engross.names import approval_id
from starters.retention.marking import Marks, digests
from starters.retention.policy import Policy
from starters.retention.report import Report, Told

_PAGE: Final = 500
# Accounts are deleted by run, and are kept by attempt.
_SPENT_OF_RUN: Final = Index("spent_of_run", SPENT.c.run_id, SPENT.c.tenant)
_RUNS_WHOLE: Final = select(RUNS, DETAILS.c.ledger, DETAILS.c.missing, DETAILS.c.flags).select_from(
    RUNS.outerjoin(DETAILS, of_same_run())
)
# What came of a document that went on by itself counts as news of its batch.
_BATCHES: Final = (
    select(BATCH_ROWS.c.batch_id, BATCH_ROWS.c.tenant)
    .select_from(
        BATCH_ROWS.outerjoin(RUNS, (RUNS.c.run_id == BATCH_ROWS.c.run_id) & (RUNS.c.tenant == BATCH_ROWS.c.tenant))
    )
    .group_by(BATCH_ROWS.c.batch_id, BATCH_ROWS.c.tenant)
)
_LAST_NEWS: Final = (func.max(BATCH_ROWS.c.stored_at), func.max(func.coalesce(RUNS.c.stored_at, "")))


class Rows:
    """Every method raises `ServiceUnavailable` when the database does not answer.

    `busy` are ids of what is open: nothing that has one of them is deleted.
    """

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy
        self.busy: set[str] = set()

    async def start(self) -> None:
        """Creates what is missing."""
        for store in (ResultStore(self._database), ApprovalRows(self._database), Cases(self._database)):
            await store.start()

    async def add_busy(self, ids: Collection[str]) -> None:
        """These are open, and so are what the inbox shows as open, and runs whose approvals are open."""
        waiting = await self._database.fetch(
            select(APPROVALS.c.approval_id, APPROVALS.c.run_id).where(APPROVALS.c.verdict == str(Verdict.OPEN))
        )
        self.busy.update(ids, (each.removesuffix(approval_id("")) for each in ids))
        self.busy.update(*((row["approval_id"], row["run_id"]) for row in waiting))

    async def mark(self, marks: Marks, told: Told) -> None:
        """Marks what rows name that are not to be deleted."""
        old_batches = {row["batch_id"] for row in await self._old_batches()}
        count = 0
        for query, is_old in (
            (_RUNS_WHOLE, lambda row: self._is_old(row["run_id"], row["tenant"], row["stored_at"])),
            (select(*_texts(BATCH_ROWS)), lambda row: row["batch_id"] in old_batches),
            (select(*_texts(APPROVALS)), self._is_old_approval),
            (select(*_texts(CASES)), lambda _: False),
        ):
            async for row in self._all(query):
                if not is_old(row):
                    _mark_row(marks, row)
                count += 1
                told("rows read", count)

    async def delete(self, report: Report) -> None:
        """Deletes the old ones, or counts them in a dry run. What a kill leaves, the next call deletes."""
        if self._policy.runs_before is None:
            return
        if not report.is_dry:
            await self._database.create((), (_SPENT_OF_RUN,))
        # Batches first: how old they are depends on their runs.
        await self._delete_batches(report)
        await self._delete_runs(report)
        await self._delete_approvals(report)

    async def _delete_batches(self, report: Report) -> None:
        for row in await self._old_batches():
            if not report.is_dry:
                async with self._database.writing() as connection:
                    await connection.execute(delete(BATCH_ROWS).where(BATCH_ROWS.c.batch_id == row["batch_id"]))
            report.add_rows(row["tenant"], "batches")

    async def _delete_runs(self, report: Report) -> None:
        async for keys in self._pages(RUNS, RUNS.c.run_id, RUNS.c.tenant):
            old = [key for key in keys if key[0] not in self.busy]
            gone = old if report.is_dry or not old else await self._delete_some(old)
            for _, tenant in gone:
                report.add_rows(tenant, "runs")

    async def _delete_some(self, keys: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Those of the runs with `keys` that have not run again meanwhile, with all that belongs to them."""
        async with self._database.writing() as connection:
            old = tuple_(RUNS.c.run_id, RUNS.c.tenant).in_(keys) & (RUNS.c.stored_at < self._policy.ended_before)
            found = await connection.execute(delete(RUNS).where(old).returning(RUNS.c.run_id, RUNS.c.tenant))
            gone = [tuple(row) for row in found]
            for table in (DETAILS, SPENT):
                await connection.execute(delete(table).where(tuple_(table.c.run_id, table.c.tenant).in_(gone)))
        return gone

    async def _delete_approvals(self, report: Report) -> None:
        columns = APPROVALS.c
        async for keys in self._pages(APPROVALS, columns.approval_id, columns.tenant, columns.run_id):
            old = {key[0]: key[1] for key in keys if key[0] not in self.busy and key[2] not in self.busy}
            if old and not report.is_dry:
                async with self._database.writing() as connection:
                    # The inbox's own order of locks; and whoever shows it learns that it has changed.
                    await connection.execute(update(CHANGES).values(number=CHANGES.c.number + 1))
                    is_old = columns.approval_id.in_(old) & self._ended(APPROVALS)
                    await connection.execute(delete(APPROVALS).where(is_old))
            for tenant in old.values():
                report.add_rows(tenant, "approvals")

    async def _old_batches(self) -> list[RowMapping]:
        if self._policy.runs_before is None:
            return []
        old = _BATCHES.having(and_(*(news < self._policy.ended_before for news in _LAST_NEWS)))
        if self._policy.tenant is not None:
            old = old.where(BATCH_ROWS.c.tenant == self._policy.tenant)
        kept = set(self.busy)
        async for row in self._all(select(BATCH_ROWS.c.batch_id, BATCH_ROWS.c.run_id)):
            if row["run_id"] in self.busy:
                kept.add(row["batch_id"])
        return [row for row in await self._database.fetch(old) if row["batch_id"] not in kept]

    def _ended(self, table: Table) -> ColumnElement[bool]:
        before = self._policy.ended_before
        if table is APPROVALS:
            return (APPROVALS.c.verdict != str(Verdict.OPEN)) & (APPROVALS.c.changed_at < before)
        is_old: ColumnElement[bool] = table.c.stored_at < before
        return is_old

    def _is_old(self, run_id: str, tenant: str, ended_at: str) -> bool:
        is_ours = self._policy.tenant in (None, tenant)
        return is_ours and ended_at < self._policy.ended_before and run_id not in self.busy

    def _is_old_approval(self, row: RowMapping) -> bool:
        if row["verdict"] == str(Verdict.OPEN) or row["approval_id"] in self.busy:
            return False
        return self._is_old(row["run_id"], row["tenant"], row["changed_at"])

    async def _pages(self, table: Table, *columns: Column[Any]) -> AsyncIterator[list[tuple[str, ...]]]:
        """The keys of ended rows that are old, `_PAGE` at a time, whichever of them are deleted meanwhile."""
        query = select(*columns).where(self._ended(table)).order_by(*columns).limit(_PAGE)
        if self._policy.tenant is not None:
            query = query.where(table.c.tenant == self._policy.tenant)
        page = query
        while found := await self._database.fetch(page):
            keys = [tuple(map(str, row.values())) for row in found]
            yield keys
            page = query.where(tuple_(*columns) > tuple_(*keys[-1]))

    async def _all(self, query: Select[Any]) -> AsyncIterator[RowMapping]:
        async with self._database.reading() as connection, connection.stream(query) as found:
            async for page in found.mappings().partitions(_PAGE):
                for row in page:
                    yield row


def _texts(table: Table) -> list[ColumnElement[Any]]:
    return [column for column in table.columns if isinstance(column.type, Text)]


def _mark_row(marks: Marks, row: RowMapping) -> None:
    for value in row.values():
        if isinstance(value, str):
            marks.mark(digests(value.encode(errors="surrogatepass")))
