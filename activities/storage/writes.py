"""What is written of runs and batches, in one transaction: statements that are built once, many rows each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from activities.ports import RunReport
from activities.storage.batches import BATCH_ROWS, has_news
from activities.storage.costs import SPENT, spent_rows
from activities.storage.database import Excluded, Insert, Inserts
from activities.storage.details import DETAILS, details_row
from activities.storage.rows import RUNS, is_newer, row_of

Row = dict[str, Any]


@dataclass
class Rows:
    """Rows to write, by table."""

    runs: list[Row] = field(default_factory=list)
    spent: list[Row] = field(default_factory=list)
    details: list[Row] = field(default_factory=list)
    of_batch: list[Row] = field(default_factory=list)

    def add(self, report: RunReport) -> None:
        """Adds what is written of a run. Raises `InvalidRequest` when it makes no sense."""
        run = row_of(report.request, report.answer)
        details = details_row(report.request, report.ledger, run["started_at"])
        self.runs.append(run)
        self.spent += spent_rows(report.request, run["started_at"])
        self.details += [details] if details else []


@dataclass(frozen=True)
class News:
    """The rows of runs and of batches that said something new, each as it was given."""

    runs: Sequence[Row]
    of_batch: Sequence[Row]


class Writes:
    """The statements of one kind of database."""

    def __init__(self, insert: Inserts) -> None:
        self._run = _upsert(insert(RUNS), RUNS, is_newer)
        self._spent = insert(SPENT).on_conflict_do_nothing()
        self._no_details = delete(DETAILS).where(
            DETAILS.c.run_id == bindparam("of_run"),
            DETAILS.c.tenant == bindparam("of_tenant"),
            DETAILS.c.started_at <= bindparam("until"),
        )
        self._details = insert(DETAILS).on_conflict_do_nothing()
        self._of_batch = _upsert(insert(BATCH_ROWS), BATCH_ROWS, has_news)

    async def write(self, connection: AsyncConnection, rows: Rows) -> News:
        """Writes `rows`, all of which must have the same columns, and says which were news. What is newer stays."""
        gone = [{"of_run": row["run_id"], "of_tenant": row["tenant"], "until": row["started_at"]} for row in rows.runs]
        runs = await _put(connection, self._run, RUNS, rows.runs)
        for statement, values in (
            (self._spent, rows.spent),
            (self._no_details, gone),
            (self._details, rows.details),
        ):
            if values:
                await connection.execute(statement, values)
        return News(runs, await _put(connection, self._of_batch, BATCH_ROWS, rows.of_batch))


async def _put(
    connection: AsyncConnection, statement: ReturningInsert[Any], table: Table, rows: list[Row]
) -> list[Row]:
    """Those of `rows` that were written, in the table by `statement`, which returns their keys."""
    names = [column.name for column in table.primary_key.columns]
    # All in one statement, which cannot write a row twice: a second one of the same key is for the next.
    parts: list[dict[tuple[Any, ...], Row]] = []
    for row in rows:
        key = tuple(row[name] for name in names)
        part = next((part for part in parts if key not in part), None)
        if part is None:
            parts.append({key: row})
        else:
            part[key] = row
    written: list[Row] = []
    for part in parts:
        found = await connection.execute(statement, list(part.values()))
        written += [part[tuple(key)] for key in found]
    return written


def _upsert(insert: Insert, table: Table, has_news: Callable[[Excluded], ColumnElement[bool]]) -> ReturningInsert[Any]:
    """Puts a row in the place of the one with the same key, if it has news; then it returns its key."""
    keys = list(table.primary_key.columns)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={column.name: new[column.name] for column in table.columns if not column.primary_key},
        where=has_news(new),
    ).returning(*keys)
