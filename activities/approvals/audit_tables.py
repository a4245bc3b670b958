"""The tables of the audit log, what keeps them append-only, and the lock that lines are written under."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
    delete,
    false,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

_META: Final = MetaData()

# Times are text of one width, as in all our tables; the one flag is 0 or 1.
AUDIT: Final = Table(
    "audit",
    _META,
    Column("tenant", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("is_signed", Integer, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("mac", Text, nullable=False),
    UniqueConstraint("tenant", "event_id"),
)
# How far each tenant's log goes; the row of `EVERYONE` has the number of tenants that have one, and their hash.
HEADS: Final = Table(
    "audit_heads",
    _META,
    Column("tenant", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("mac", Text, nullable=False),
)
AUDIT_INDEXES: Final = (Index("audit_of_subject", AUDIT.c.subject, AUDIT.c.tenant, AUDIT.c.number),)

EVERYONE: Final = ""

# A tamperer who owns the database can drop these: what that leads to, the chain shows. SQLite's REPLACE deletes rows
# without asking the triggers for DELETE, so it is refused as the insertion that it is.
_SQLITE: Final = (
    """CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit
    WHERE tenant = NEW.tenant AND (number = NEW.number OR event_id = NEW.event_id))
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
_POSTGRESQL: Final = (
    """CREATE OR REPLACE FUNCTION engross_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION engross_audit_append_only()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION engross_audit_append_only()""",
)
_HAS_TRIGGER: Final = text(
    "SELECT count(*) FROM pg_trigger WHERE tgname = 'audit_no_truncate' AND tgrelid = to_regclass('audit')"
)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(:key)")


async def protect(connection: AsyncConnection) -> None:
    """Makes the database refuse to change or delete lines. Safe to repeat."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK, {"key": _lock_key("\0triggers")})
        if (await connection.execute(_HAS_TRIGGER)).scalar_one():
            return
    for statement in _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE:
        await connection.exec_driver_sql(statement)


async def lock(connection: AsyncConnection, tenants: Sequence[str]) -> None:
    """Until the transaction ends, nobody else writes lines of `tenants`. SQLite has one lock for all writers."""
    if connection.dialect.name == "postgresql":
        for tenant in tenants:
            await connection.execute(_LOCK, {"key": _lock_key(tenant)})
    else:
        # Python begins a transaction at the first statement that writes, whether it changes anything or not.
        await connection.execute(delete(HEADS).where(false()))


def fields_of(row: RowMapping) -> dict[str, Any]:
    """A stored line as it was hashed."""
    fields = dict(row)
    flag = fields["is_signed"]
    return fields | {"is_signed": flag == 1 if flag in (0, 1) else flag}


def _lock_key(tenant: str) -> int:
    """PostgreSQL's advisory locks are numbers of 64 bits; two tenants that share one only wait for each other."""
    return int.from_bytes(hashlib.sha256(b"engross audit\0" + tenant.encode()).digest()[:8], "big", signed=True)
