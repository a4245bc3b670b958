"""The table of data keys, and what one of its rows is."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, RowMapping, Table, Text

# `wrapped` is the data key encrypted by the master key `master_id`; null once it is destroyed. The row stays, so that
# nobody makes a new key for the tenant. Times are text in UTC; see `activities.storage.rows.stamp`.
TENANT_KEYS: Final = Table(
    "tenant_keys",
    MetaData(),
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("master_id", Text, nullable=False),
    Column("wrapped", LargeBinary),
    Column("made_at", Text, nullable=False),
    Column("state", Text, nullable=False),
)


class KeyState(StrEnum):
    """An active key encrypts and reads, a retired one reads; of a destroyed one only the number is left."""

    ACTIVE = "active"
    RETIRED = "retired"
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class KeyRow:
    """A data key as stored. `made_at` is in UTC; `master_id` says which master key wraps it."""

    tenant: str
    number: int
    master_id: str
    made_at: datetime
    state: KeyState
    wrapped: bytes | None = field(default=None, repr=False)


def row_of(found: RowMapping | dict[str, Any]) -> KeyRow:
    """The value of a row."""
    wrapped = found["wrapped"]
    return KeyRow(
        tenant=found["tenant"],
        number=found["number"],
        master_id=found["master_id"],
        made_at=datetime.fromisoformat(found["made_at"]),
        state=KeyState(found["state"]),
        wrapped=None if wrapped is None else bytes(wrapped),
    )
