"""The accounts: one row for each reply of a model, and what they come to."""

from collections.abc import Iterable
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final, Literal

from sqlalchemy import Column, Integer, MetaData, RowMapping, Select, Table, Text, case, func, select

from engross.contracts import Contract, ReplySource, Spent, StoreRequest

# `attempt` is Temporal's own id of a run: two runs of one `run_id` spend twice. `place` is the reply's number in it.
SPENT: Final = Table(
    "spent",
    MetaData(),
    Column("attempt", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("cost_usd", Text),
    Column("maybe_billed", Integer, nullable=False),
)

CostsBy = Literal["tenant", "job", "model", "day"]

_SUMMED: Final = ("calls", "input_tokens", "output_tokens", "maybe_billed")
_DAY_LENGTH: Final = len("YYYY-MM-DD")
# The usual 28 digits round. Sums and products of fixed-point numbers need few more, and get as many as they need.
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class CostLine(Contract):
    """What the replies of one tenant, job, model or day (`name`) come to; lines can be added up.

    `cached` counts replies that were served without a call. `cost_usd` is the exact sum of the prices that are known;
    `unpriced` counts the calls that it lacks, `maybe_billed` those that vanished and may be on the bill all the same.
    """

    name: str
    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    maybe_billed: int = 0

    def __add__(self, other: "CostLine") -> "CostLine":
        return CostLine(
            name=self.name,
            calls=self.calls + other.calls,
            cached=self.cached + other.cached,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=_EXACT.add(self.cost_usd, other.cost_usd),
            unpriced=self.unpriced + other.unpriced,
            maybe_billed=self.maybe_billed + other.maybe_billed,
        )


def spent_rows(request: StoreRequest, started_at: str) -> list[dict[str, Any]]:
    """The rows for the replies of `request`; none when it is of a version that kept no accounts."""
    if not request.attempt:
        return []
    result = request.result
    return [
        {
            "attempt": request.attempt,
            "place": place,
            "run_id": result.run_id,
            "tenant": result.tenant,
            "job": result.job,
            "day": started_at[:_DAY_LENGTH],
            "step": spent.step,
            "model": spent.model,
            "status": str(spent.status),
            "source": str(spent.source),
            "calls": spent.calls,
            "input_tokens": spent.usage.input_tokens,
            "output_tokens": spent.usage.output_tokens,
            "cached_tokens": spent.usage.cached_tokens,
            "cost_usd": None if spent.cost_usd is None else format(spent.cost_usd, "f"),
            "maybe_billed": spent.maybe_billed,
        }
        for place, spent in enumerate(each for spent in request.spent for each in _lines(spent))
    ]


def _lines(spent: Spent) -> list[Spent]:
    """Kept replies are counted by their rows, so that each has one; all others are counted by their calls."""
    return [spent] * spent.replies if spent.source is ReplySource.CACHED else [spent]


def costs_query(
    by: CostsBy, *, job: str | None, tenant: str | None, since: date | None, until: date | None
) -> Select[Any]:
    """One row for each name and price: SQLite cannot add decimals, so that is left to `line_of` and `+`.

    A single query, so that tokens and money are those of the same moment.
    """
    cached = func.sum(case((SPENT.c.source == str(ReplySource.CACHED), 1), else_=0))
    sums = (func.sum(SPENT.c[column]).label(column) for column in _SUMMED)
    query = select(
        SPENT.c[by].label("name"), SPENT.c.cost_usd, func.count().label("replies"), cached.label("cached"), *sums
    )
    if job is not None:
        query = query.where(SPENT.c.job == job)
    if tenant is not None:
        query = query.where(SPENT.c.tenant == tenant)
    if since is not None:
        query = query.where(SPENT.c.day >= since.isoformat())
    if until is not None:
        query = query.where(SPENT.c.day <= until.isoformat())
    return query.group_by(SPENT.c[by], SPENT.c.cost_usd)


def line_of(row: RowMapping) -> CostLine:
    """The value of a row of `costs_query`."""
    values = dict(row)
    price, replies = values.pop("cost_usd"), values.pop("replies")
    if price is None:
        return CostLine(**values, unpriced=values["calls"])
    return CostLine(**values, cost_usd=_EXACT.multiply(Decimal(price), replies))


def in_order(lines: Iterable[CostLine], by: CostsBy) -> list[CostLine]:
    """`lines` with the newest day or the highest cost first."""
    if by == "day":
        return sorted(lines, key=lambda line: line.name, reverse=True)
    named = sorted(lines, key=lambda line: line.name)
    return sorted(named, key=lambda line: (line.cost_usd, line.unpriced), reverse=True)
