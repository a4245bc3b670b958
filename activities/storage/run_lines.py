"""Runs that ended, for lists: a line for each, without its answer, page by page."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, false, select, tuple_

from activities.storage.database import Database
from activities.storage.rows import RUNS, stamp, storable
from engross.contracts import Contract, ErrorInfo, Outcome

_COLUMNS: Final = (
    "run_id",
    "tenant",
    "job",
    "outcome",
    "started_at",
    "stored_at",
    "document_name",
    "error_type",
    "error_message",
    "cost_usd",
    "model",
)


class RunPlace(Contract):
    """Where a list goes on: behind this run. Times are UTC."""

    started_at: datetime
    run_id: str
    tenant: str


class RunLine(Contract):
    """A finished run in a list; see `StoredRun`."""

    run_id: str
    tenant: str
    job: str
    outcome: Outcome
    started_at: datetime
    stored_at: datetime
    document_name: str
    error: ErrorInfo | None = None
    cost_usd: Decimal | None = None
    model: str = ""

    @property
    def place(self) -> RunPlace:
        return RunPlace(started_at=self.started_at, run_id=self.run_id, tenant=self.tenant)


class RunLines:
    """Reads them. Every method raises `ServiceUnavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        limit: int,
        *,
        tenants: Collection[str] | None = None,
        job: str | None = None,
        outcome: Outcome | None = None,
        after: RunPlace | None = None,
    ) -> list[RunLine]:
        """At most `limit` runs of these tenants (None: of all), newest first, behind `after`."""
        query = select(*(RUNS.c[name] for name in _COLUMNS))
        for condition in _conditions(tenants, job, outcome, after):
            query = query.where(condition)
        query = query.order_by(RUNS.c.started_at.desc(), RUNS.c.run_id.desc(), RUNS.c.tenant.desc()).limit(limit)
        return [_line_of(row) for row in await self._database.fetch(query)]


def _conditions(
    tenants: Collection[str] | None, job: str | None, outcome: Outcome | None, after: RunPlace | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if tenants is not None:
        conditions.append(RUNS.c.tenant.in_(sorted(tenants)) if tenants else false())
    if job is not None:
        conditions.append(RUNS.c.job == storable(job))
    if outcome is not None:
        conditions.append(RUNS.c.outcome == str(outcome))
    if after is not None:
        place = stamp(after.started_at), storable(after.run_id), storable(after.tenant)
        conditions.append(tuple_(RUNS.c.started_at, RUNS.c.run_id, RUNS.c.tenant) < tuple_(*place))
    return conditions


def _line_of(row: RowMapping) -> RunLine:
    fields: dict[str, Any] = {**row}
    kind, message = fields.pop("error_type"), fields.pop("error_message")
    return RunLine.model_validate(fields | {"error": ErrorInfo(type=kind, message=message) if kind else None})
