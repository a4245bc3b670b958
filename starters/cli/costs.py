"""`engross costs`: what model calls came to, by tenant, job, model or day."""

from collections.abc import Sequence
from datetime import date

from activities.storage import CostLine, CostsBy
from engross.errors import InvalidRequest
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, money, note, out
from starters.cli.show import opened_results
from starters.cli.tables import cells, plain_table
from starters.reports import json_line
from starters.running import run


def costs(
    settings: Settings,
    *,
    by: CostsBy,
    job: str | None,
    tenant: str | None,
    since: date | None,
    until: date | None,
    as_json: bool,
) -> ExitCode:
    """Shows a line for each name, and for people what they come to."""
    if since and until and since > until:
        raise InvalidRequest(f"--since {since} is later than --until {until}")

    async def ask() -> list[CostLine]:
        async with opened_results(settings) as results:
            return await results.costs(by=by, job=job, tenant=tenant, since=since, until=until)

    lines = run(ask())
    if as_json:
        for line in lines:
            data(json_line(line))
    elif lines:
        _show(by, lines)
    else:
        note("no model calls are in the accounts")
    return ExitCode.OK


def _show(by: CostsBy, lines: Sequence[CostLine]) -> None:
    table = plain_table(by, "calls", "cached", "tokens in", "tokens out", "maybe billed", "cost")
    for column in table.columns[1:-1]:
        column.justify = "right"
    for line in [*lines, sum(lines, CostLine(name="total"))]:
        counts = (line.calls, line.cached, line.input_tokens, line.output_tokens, line.maybe_billed)
        table.add_row(*cells(line.name, *(f"{count:,}" for count in counts), _cost(line)))
    out.print(table)


def _cost(line: CostLine) -> str:
    if not line.unpriced:
        return money(line.cost_usd)
    if line.unpriced == line.calls:
        return money(None)
    return f"{money(line.cost_usd)} + price unknown of {line.unpriced:,} call{'s' * (line.unpriced > 1)}"
