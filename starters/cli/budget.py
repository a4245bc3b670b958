"""`engross budget show` and `raise`: what model calls may still cost, and how people change that."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from activities.guards.budgets import Balance, Budget, Budgets
from engross.contracts import MOST_DOLLARS, BudgetState, Dollars
from engross.endpoints import resolve
from engross.errors import BudgetExhausted, ConfigurationError, InvalidRequest
from engross.names import is_name
from engross.settings import Settings, variable
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table
from starters.client import Client
from starters.identity import login_name
from starters.reports import BudgetReport, json_line
from starters.running import run
from workers.redis_access import open_budgets, open_redis

T = TypeVar("T")

_DOLLARS: Final[TypeAdapter[Decimal]] = TypeAdapter(Dollars)


@dataclass(frozen=True)
class Whose:
    """Whose budget is meant: one of a run, a tenant and the day; none of them is all there are but those of runs."""

    run_id: str | None = None
    tenant: str | None = None
    day: bool = False

    def __post_init__(self) -> None:
        if sum((self.run_id is not None, self.tenant is not None, self.day)) > 1:
            raise InvalidRequest("name a run, a --tenant or the --day: one of them")
        if self.tenant is not None and not is_name(self.tenant):
            raise InvalidRequest(f"{self.tenant!r} is no name of a tenant")


# --- show -------------------------------------------------------------------------------------------------------


def show(settings: Settings, whose: Whose, *, as_json: bool) -> ExitCode:
    """Shows the budgets as the next call would find them."""

    async def ask(budgets: Budgets) -> list[BudgetReport]:
        if whose.run_id is not None:
            return [await _of_run(settings, budgets, whose.run_id)]
        if whose.tenant is not None:
            return [_report(await budgets.balance(_tenants(settings, whose.tenant)))]
        today = _report(await budgets.balance(_todays(settings)))
        return [today] if whose.day else [today, *await _of_tenants(settings, budgets)]

    _print(_with_budgets(settings, ask), as_json=as_json)
    return ExitCode.OK


async def _of_run(settings: Settings, budgets: Budgets, run_id: str) -> BudgetReport:
    async with await Client.connect(settings) as client:
        return await _run_report(budgets, run_id, await client.budget(run_id))


async def _run_report(budgets: Budgets, run_id: str, state: BudgetState) -> BudgetReport:
    if state.budget is None:
        return BudgetReport(
            scope="run", name=run_id, limit_usd=None, spent_usd=state.spent_usd, waiting_for=state.waiting_for
        )
    # The run keeps its raises itself: to its account they are part of the limit.
    found = _report(await budgets.balance(Budget("run", state.budget.account, state.budget.limit_usd)))
    return found.model_copy(
        update={
            "name": run_id,
            "limit_usd": state.budget.limit_usd - state.raised_usd,
            "raised_usd": found.raised_usd + state.raised_usd,
            "waiting_for": state.waiting_for,
        }
    )


async def _of_tenants(settings: Settings, budgets: Budgets) -> list[BudgetReport]:
    found = [await budgets.balance(_tenants(settings, name)) for name in await budgets.tenants()]
    # An account of an earlier month is kept for a while, and has nothing in it.
    used = [each for each in found if each.spent_usd + each.reserved_usd + each.unclear_usd + each.raised_usd]
    return [_report(each) for each in used]


# --- raise ------------------------------------------------------------------------------------------------------


def raise_budget(settings: Settings, whose: Whose, *, by_usd: str) -> ExitCode:
    """Allows so much more, wakes the runs that wait for it, and shows the budget as it is then."""
    try:
        amount = _DOLLARS.validate_python(by_usd)
    except ValidationError:
        raise InvalidRequest(f"--by is US dollars: more than 0, and {MOST_DOLLARS:,} at most") from None
    if whose == Whose():
        raise InvalidRequest("name a run, a --tenant or the --day")
    run_id = whose.run_id
    if run_id is not None:
        _print([_with_budgets(settings, lambda budgets: _raise_run(settings, budgets, run_id, amount))])
        return ExitCode.OK
    budget = _todays(settings) if whose.tenant is None else _tenants(settings, whose.tenant)
    field = "budget_day_usd" if whose.tenant is None else "budget_tenant_usd"
    if budget.limit_usd is None:
        raise ConfigurationError(f"{variable(field)} is not set, so there is no limit to raise")

    async def allow(budgets: Budgets) -> BudgetReport:
        await budgets.raise_limit(budget, by_usd=amount, request=secrets.token_hex(8))
        return _report(await budgets.balance(budget))

    _print([_with_budgets(settings, allow)])
    woken = run(_wake(settings, whose.tenant))
    note(f"{woken} run{'' if woken == 1 else 's'} woken")
    return ExitCode.OK


async def _raise_run(settings: Settings, budgets: Budgets, run_id: str, amount: Decimal) -> BudgetReport:
    async with await Client.connect(settings) as client:
        state = await client.raise_budget(run_id, by_usd=amount, by=login_name())
        return await _run_report(budgets, run_id, state)


async def _wake(settings: Settings, tenant: str | None) -> int:
    async with await Client.connect(settings) as client:
        return await client.resume_parked(tenant=tenant, kinds={BudgetExhausted.__name__})


# --- both -------------------------------------------------------------------------------------------------------


def _todays(settings: Settings) -> Budget:
    return Budget("day", "", settings.budget_day_usd)


def _tenants(settings: Settings, name: str) -> Budget:
    return Budget("tenant", name, settings.budget_tenant_usd)


def _with_budgets(settings: Settings, ask: Callable[[Budgets], Awaitable[T]]) -> T:
    async def answer() -> T:
        async with open_redis(settings, resolve(settings).redis) as store:
            return await ask(open_budgets(settings, store))

    return run(answer())


def _report(found: Balance) -> BudgetReport:
    left = None
    if found.limit_usd is not None:
        taken = found.spent_usd + found.reserved_usd + found.unclear_usd
        left = max(found.limit_usd + found.raised_usd - taken, Decimal(0))
    return BudgetReport(
        scope=found.scope,
        name=found.name,
        limit_usd=found.limit_usd,
        raised_usd=found.raised_usd,
        spent_usd=found.spent_usd,
        reserved_usd=found.reserved_usd,
        unclear_usd=found.unclear_usd,
        left_usd=left,
        period=found.period,
        ends_at=found.ends_at,
    )


def _print(reports: Sequence[BudgetReport], *, as_json: bool = False) -> None:
    if as_json:
        for report in reports:
            data(json_line(report))
        return
    table = plain_table("budget", "limit", "raised", "spent", "reserved", "maybe billed", "left", "until (UTC)")
    for report in reports:
        sums = (report.raised_usd, report.spent_usd, report.reserved_usd, report.unclear_usd)
        limit = "none" if report.limit_usd is None else _exact(report.limit_usd)
        left = "" if report.left_usd is None else _exact(report.left_usd)
        until = report.ends_at.strftime("%Y-%m-%d %H:%M") if report.ends_at else ""
        table.add_row(*cells(_name(report), limit, *map(_exact, sums), left, until))
    out.print(table)
    for report in reports:
        if report.waiting_for:
            data(clean(f"parked: {report.waiting_for}"))


def _name(report: BudgetReport) -> str:
    return {"day": f"day {report.period}", "tenant": f"tenant {report.name}", "run": report.name}[report.scope]


def _exact(usd: Decimal | None) -> str:
    """`$0.0012`: every digit and no more, as budgets are kept exactly."""
    return "unknown" if usd is None else f"${usd.normalize():f}"
