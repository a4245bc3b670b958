"""The table of the inbox. Its order serves the search: what is long, and read for one page only, comes last."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

_META: Final = MetaData()

# Times are text of one width, UTC. `searched` and `asked` are made for the search alone; see `rows_queries`.
APPROVALS: Final = Table(
    "approvals",
    _META,
    Column("approval_id", Text, primary_key=True),
    Column("attempt", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("risk", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("document_name", Text, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("asked", Text, nullable=False),
    Column("searched", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("state", Text, nullable=False),
)
# One row: how often anything has changed. Whoever changes a row holds it until the end of the transaction, so that the
# number grows in the order in which changes can be seen.
CHANGES: Final = Table(
    "approval_changes",
    _META,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
_OF_LIST: Final = (APPROVALS.c.tenant, APPROVALS.c.job, APPROVALS.c.risk, APPROVALS.c.claimed_by)
ROW_INDEXES: Final = (
    Index(
        "approvals_first", APPROVALS.c.verdict, APPROVALS.c.priority, APPROVALS.c.due_at, APPROVALS.c.approval_id,
        *_OF_LIST, APPROVALS.c.opened_at,
    ),
    Index("approvals_newest", APPROVALS.c.verdict, APPROVALS.c.opened_at, APPROVALS.c.approval_id, *_OF_LIST),
    Index("approvals_by_priority", APPROVALS.c.priority, APPROVALS.c.due_at, APPROVALS.c.approval_id),
    Index("approvals_by_age", APPROVALS.c.opened_at, APPROVALS.c.approval_id),
    Index("approvals_of_run", APPROVALS.c.run_id, APPROVALS.c.opened_at),
)  # fmt: skip
