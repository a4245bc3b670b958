"""How the inbox is searched and paged: what is wanted, the queries for it, and the cursors between pages."""

import base64
import binascii
import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NoReturn

from sqlalchemy import ColumnElement, RowMapping, Select, case, func, or_, select, tuple_

from activities.approvals.rows_tables import APPROVALS
from activities.storage.rows import stamp, storable
from engross.contracts import Risk, Verdict
from engross.errors import InvalidRequest

MOST_TEXT: Final = 200
"""Characters of a search."""

_MOST_CURSOR: Final = 2000
_LOWEST_PRIORITY: Final = 5

Order = Literal["priority", "newest"]


@dataclass(frozen=True)
class Wanted:
    """What of the inbox is wanted; a field that is None, or the text "", asks for nothing.

    `text` is in the document's name, the run's id or the approval's, in upper or lower case. `claimed_by` "" is for
    what nobody has claimed; `asked_any` for what any of these groups and people is asked. By "priority", what is due
    first comes first among equals.
    """

    tenants: frozenset[str] | None = None
    job: str | None = None
    risk: Risk | None = None
    verdict: Verdict | None = Verdict.OPEN
    older_than: timedelta | None = None
    text: str = ""
    claimed_by: str | None = None
    asked_any: frozenset[str] | None = None
    order: Order = "priority"


def page_query(wanted: Wanted, after: str | None, limit: int) -> Select[Any]:
    """The rows that are wanted, from behind the cursor `after`. Raises `InvalidRequest` for a cursor that is none."""
    query = select(*(APPROVALS.c[name] for name in SHOWN)).where(*_conditions(wanted)).limit(limit)
    table = APPROVALS.c
    if wanted.order == "priority":
        place = tuple_(table.priority, table.due_at, table.approval_id)
        query = query.order_by(table.priority, table.due_at, table.approval_id)
        return query if after is None else query.where(place > tuple_(*_read_cursor(wanted.order, after)))
    place = tuple_(table.opened_at, table.approval_id)
    query = query.order_by(table.opened_at.desc(), table.approval_id.desc())
    return query if after is None else query.where(place < tuple_(*_read_cursor(wanted.order, after)))


def count_query(wanted: Wanted) -> Select[Any]:
    """How many rows are wanted, as `total`."""
    return select(func.count().label("total")).select_from(APPROVALS).where(*_conditions(wanted))


def open_query(now: str) -> Select[Any]:
    """The open approvals by `tenant`, `job` and `risk`: `total`, those that are `overdue` at `now` (as `stamp` writes
    it), and when the `oldest` was opened."""
    table = APPROVALS.c
    overdue = func.sum(case((table.due_at < now, 1), else_=0)).label("overdue")
    oldest = func.min(table.opened_at).label("oldest")
    groups = (table.tenant, table.job, table.risk)
    query = select(*groups, func.count().label("total"), overdue, oldest)
    return query.where(table.verdict == str(Verdict.OPEN)).group_by(*groups)


def cursor_at(order: Order, row: RowMapping) -> str:
    """The cursor behind `row`."""
    place = [row[name] for name in _PLACES[order]]
    return base64.urlsafe_b64encode(json.dumps([order, *place]).encode()).decode().rstrip("=")


def folded(text: str) -> str:
    """`text` as it is searched: the same for upper and lower case, and for letters that are written in two ways."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", storable(text)).casefold())


def listed(names: tuple[str, ...]) -> str:
    """Names as the column `asked` has them, each between line ends."""
    return "".join(f"\n{_name(name)}\n" for name in names)


SHOWN: Final = (
    "approval_id", "attempt", "priority", "opened_at", "due_at", "changed_at", "request", "state",
)  # fmt: skip
_PLACES: Final[dict[Order, tuple[str, ...]]] = {
    "priority": ("priority", "due_at", "approval_id"),
    "newest": ("opened_at", "approval_id"),
}


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    table = APPROVALS.c
    exact = {"job": wanted.job, "risk": wanted.risk, "verdict": wanted.verdict, "claimed_by": wanted.claimed_by}
    conditions = [table[name] == storable(str(value)) for name, value in exact.items() if value is not None]
    if wanted.tenants is not None:
        conditions.append(table.tenant.in_(sorted(map(storable, wanted.tenants))))
    if wanted.older_than is not None:
        conditions.append(table.opened_at <= _before_now(wanted.older_than))
    if wanted.asked_any is not None:
        conditions.append(or_(False, *(_has(table.asked, f"\n{_name(name)}\n") for name in sorted(wanted.asked_any))))
    text = folded(wanted.text.strip())
    if len(wanted.text) > MOST_TEXT:
        raise InvalidRequest(f"a search has {MOST_TEXT} characters at most")
    if text:
        conditions.append(table.searched.contains(text, autoescape=True))
    return conditions


def _has(column: ColumnElement[str], part: str) -> ColumnElement[bool]:
    """Whether `part` is in `column`, exactly so: SQLite's LIKE knows no case, and `instr` is not PostgreSQL's."""
    return func.replace(column, part, "") != column


def _name(name: str) -> str:
    return storable(name).replace("\n", " ")


def _before_now(age: timedelta) -> str:
    try:
        return stamp(datetime.now(UTC) - age)
    except OverflowError:
        raise InvalidRequest("no approval is as old as that") from None


def _read_cursor(order: Order, cursor: str) -> list[Any]:
    """The place that `cursor` stands for. It comes back from outside: only what fits its columns is let through."""
    if len(cursor) > _MOST_CURSOR or not cursor.isascii():
        _refuse()
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        _refuse()
    if not isinstance(values, list) or len(values) != 1 + len(_PLACES[order]) or values[0] != order:
        _refuse()
    for name, value in zip(_PLACES[order], values[1:], strict=True):
        is_number = type(value) is int and 1 <= value <= _LOWEST_PRIORITY
        if not (is_number if name == "priority" else isinstance(value, str)):
            _refuse()
    return [storable(value) if isinstance(value, str) else value for value in values[1:]]


def _refuse() -> NoReturn:
    raise InvalidRequest("that is no page of this list; begin with the first one")
