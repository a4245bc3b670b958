"""What few runs have: a ledger of their parts, what their answer lacks, what a reader should know of it."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Column, ColumnElement, MetaData, RowMapping, Table, Text, and_

from activities.storage.rows import RUNS
from engross.contracts import Ledger, LedgerEntry, StoreRequest

# Only runs that have details have a row. It is that of the run which began at the same time as the row in `runs`.
DETAILS: Final = Table(
    "run_details",
    MetaData(),
    Column("run_id", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("started_at", Text, nullable=False),
    Column("ledger", Text, nullable=False),
    Column("missing", Text, nullable=False),
    Column("flags", Text, nullable=False),
)

_TEXTS: Final = TypeAdapter(tuple[str, ...])


def details_row(request: StoreRequest, ledger: Sequence[LedgerEntry], started_at: str) -> dict[str, Any] | None:
    """The row for `request`, whose whole ledger is `ledger`; None when there is nothing to tell."""
    result = request.result
    if not (ledger or result.missing or result.flags):
        return None
    return {
        "run_id": result.run_id,
        "tenant": result.tenant,
        "started_at": started_at,
        "ledger": Ledger(entries=tuple(ledger)).model_dump_json(exclude_defaults=True),
        "missing": _TEXTS.dump_json(result.missing).decode(),
        "flags": _TEXTS.dump_json(result.flags).decode(),
    }


def details_of(row: RowMapping) -> dict[str, Any]:
    """The fields `ledger`, `missing` and `flags` of a run from its row, whose details may be none."""
    if row["ledger"] is None:
        return {"ledger": (), "missing": (), "flags": ()}
    return {
        "ledger": Ledger.model_validate_json(row["ledger"]).entries,
        "missing": _TEXTS.validate_json(row["missing"]),
        "flags": _TEXTS.validate_json(row["flags"]),
    }


def of_same_run() -> ColumnElement[bool]:
    """Joins a run with its own details: those of an older run of the same id are none of it."""
    return and_(*(DETAILS.c[column] == RUNS.c[column] for column in ("run_id", "tenant", "started_at")))
