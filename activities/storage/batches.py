"""What became of the rows of batches: one row each, and of a document that went on by itself what came of it since."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    case,
    func,
    not_,
    or_,
    select,
)

from activities.storage.database import Database, Excluded
from activities.storage.rows import RUNS, stamp, started_stamp, storable
from engross.contracts import Contract, ErrorInfo, Outcome, RowOutcome, StoreGroupRequest

BATCH_ROWS: Final = Table(
    "batch_rows",
    MetaData(),
    Column("batch_id", Text, primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("cost_usd", Text),
    Column("started_at", Text, nullable=False),
    Column("stored_at", Text, nullable=False),
)
BATCH_INDEXES: Final = (Index("batch_rows_newest", BATCH_ROWS.c.stored_at, BATCH_ROWS.c.batch_id),)

_PAGE: Final = 1000
_WAITING: Final = (str(Outcome.PARKED), str(Outcome.NEEDS_APPROVAL))
# A document that parked went on as a run of its own. What came of that has begun with its group, or later.
_GONE_ON: Final = BATCH_ROWS.outerjoin(
    RUNS,
    and_(
        BATCH_ROWS.c.outcome.in_(_WAITING),
        RUNS.c.run_id == BATCH_ROWS.c.run_id,
        RUNS.c.tenant == BATCH_ROWS.c.tenant,
        RUNS.c.started_at >= BATCH_ROWS.c.started_at,
    ),
)
_HAS_ENDED: Final = RUNS.c.run_id.is_not(None)
_SHOWN: Final = {
    name: case((_HAS_ENDED, RUNS.c[name]), else_=BATCH_ROWS.c[name])
    for name in ("outcome", "error_type", "error_message", "cost_usd", "stored_at")
}


class StoredBatchRow(Contract):
    """A row of a batch. `outcome` is an `Outcome`, or `duplicate`; `cost_usd` None means unknown; UTC."""

    batch_id: str
    row: int
    tenant: str
    job: str
    run_id: str
    name: str
    uri: str
    outcome: str
    error: ErrorInfo | None = None
    cost_usd: Decimal | None = None
    stored_at: datetime


class StoredBatch(Contract):
    """What is stored of a batch: its rows by outcome, and between which times (UTC) they came.

    `cost_usd` leaves out what has no known price, which `unpriced` counts.
    """

    batch_id: str
    tenant: str
    job: str
    outcomes: dict[str, int]
    cost_usd: Decimal
    unpriced: int
    first_at: datetime
    last_at: datetime

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.outcomes.values())


class BatchRows:
    """Reads them. Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, batch_id: str, *, outcome: str | None = None, after: int = 0) -> AsyncIterator[StoredBatchRow]:
        """The rows of a batch behind row `after`, in order, or those that ended so, page by page."""
        kept = [BATCH_ROWS.c[name] for name in ("batch_id", "row", "tenant", "job", "run_id", "name", "uri")]
        shown = [value.label(name) for name, value in _SHOWN.items()]
        query = select(*kept, *shown).select_from(_GONE_ON).where(BATCH_ROWS.c.batch_id == batch_id)
        query = query.order_by(BATCH_ROWS.c.row).limit(_PAGE)
        if outcome is not None:
            query = query.where(_SHOWN["outcome"] == outcome)
        last = after
        while True:
            found = await self._database.fetch(query.where(BATCH_ROWS.c.row > last))
            for row in found:
                yield _row_of(row)
            if len(found) < _PAGE:
                return
            last = found[-1]["row"]

    async def get(self, batch_id: str) -> StoredBatch | None:
        """What is stored of a batch; None when nothing is."""
        found = await self._batches(_counting().where(BATCH_ROWS.c.batch_id == batch_id))
        return found[0] if found else None

    async def newest(self, limit: int, tenants: Collection[str] | None = None) -> list[StoredBatch]:
        """The batches that rows were stored of last, newest first; of some tenants, or of all for None."""
        last = func.max(BATCH_ROWS.c.stored_at)
        newest = select(BATCH_ROWS.c.batch_id).group_by(BATCH_ROWS.c.batch_id).order_by(last.desc()).limit(limit)
        if tenants is not None:
            newest = newest.where(BATCH_ROWS.c.tenant.in_(sorted(tenants)))
        found = await self._batches(_counting().where(BATCH_ROWS.c.batch_id.in_(newest)))
        return sorted(found, key=lambda batch: batch.last_at, reverse=True)

    async def _batches(self, query: Select[Any]) -> list[StoredBatch]:
        lines: dict[str, list[RowMapping]] = {}
        for line in await self._database.fetch(query):
            lines.setdefault(line["batch_id"], []).append(line)
        return [_batch_of(batch_id, of_one) for batch_id, of_one in lines.items()]


def batch_row(request: StoreGroupRequest, outcome: RowOutcome) -> dict[str, Any]:
    """The row for `outcome`. Raises `InvalidRequest` when the group began at no time."""
    cost = outcome.run.result.cost_usd if outcome.run else outcome.cost_usd
    return {
        "batch_id": request.batch_id,
        "row": outcome.row,
        "tenant": request.tenant,
        "job": request.job,
        "run_id": outcome.run_id,
        "name": storable(outcome.name),
        "uri": storable(outcome.uri),
        "outcome": outcome.outcome,
        "error_type": outcome.error.type if outcome.error else None,
        "error_message": storable(outcome.error.message) if outcome.error else None,
        "cost_usd": None if cost is None else format(cost, "f"),
        "started_at": started_stamp(request.started_at) if request.started_at else "",
        "stored_at": stamp(datetime.now(UTC)),
    }


def has_news(new: Excluded) -> ColumnElement[bool]:
    """Whether the row `new` says something that the one in its place does not: an end is final for its group."""
    old = BATCH_ROWS.c
    # Compared one by one: a list as a parameter can't be in a statement that writes many rows.
    now_waits, has_waited = (or_(*(row.outcome == kind for kind in _WAITING)) for row in (new, old))
    goes_back = and_(now_waits, not_(has_waited))
    differs = or_(*(new[name].is_distinct_from(old[name]) for name in ("outcome", "run_id", "error_type", "cost_usd")))
    return or_(new.started_at > old.started_at, and_(new.started_at == old.started_at, not_(goes_back), differs))


def _counting() -> Select[Any]:
    """A line for each batch, outcome and price: SQLite cannot add decimals."""
    by = [BATCH_ROWS.c.batch_id, BATCH_ROWS.c.tenant, BATCH_ROWS.c.job]
    shown = [_SHOWN[name].label(name) for name in ("outcome", "cost_usd")]
    times = [func.min(BATCH_ROWS.c.stored_at).label("first_at"), func.max(_SHOWN["stored_at"]).label("last_at")]
    query = select(*by, *shown, *times, func.min(BATCH_ROWS.c.started_at).label("started_at"), func.count().label("n"))
    return query.select_from(_GONE_ON).group_by(*by, *shown)


def _batch_of(batch_id: str, lines: list[RowMapping]) -> StoredBatch:
    outcomes: dict[str, int] = {}
    for line in lines:
        outcomes[line["outcome"]] = outcomes.get(line["outcome"], 0) + line["n"]
    costs = [(Decimal(line["cost_usd"]), line["n"]) for line in lines if line["cost_usd"] is not None]
    return StoredBatch(
        batch_id=batch_id,
        tenant=lines[0]["tenant"],
        job=lines[0]["job"],
        outcomes=outcomes,
        cost_usd=sum((cost * rows for cost, rows in costs), Decimal(0)),
        unpriced=sum(line["n"] for line in lines if line["cost_usd"] is None),
        first_at=min(line["started_at"] or line["first_at"] for line in lines),
        last_at=max(line["last_at"] for line in lines),
    )


def _row_of(row: RowMapping) -> StoredBatchRow:
    error = ErrorInfo(type=row["error_type"], message=row["error_message"]) if row["error_type"] else None
    return StoredBatchRow.model_validate({**row, "error": error})
