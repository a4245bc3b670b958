"""`engross status`, `list`, `result` and `cancel`: what came of documents."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from activities.storage import ResultStore
from engross.contracts import Outcome
from engross.errors import ServiceUnavailable
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.ledger import show_gaps
from starters.cli.output import clean, data, money, note, out
from starters.cli.tables import cells, plain_table, show_fields
from starters.client import Client
from starters.reports import RunReport, RunStatus, json_line, status_of_row
from starters.running import run


def status(settings: Settings, run_id: str, *, as_json: bool) -> ExitCode:
    """Where one run stands."""

    async def ask() -> tuple[RunStatus, str | None]:
        async with await Client.connect(settings) as client:
            return await client.status(run_id), client.link(run_id)

    found, link = run(ask())
    if as_json:
        data(json_line(found))
        return ExitCode.OK
    lines = {
        "run": found.run_id,
        "state": found.state,
        "job": found.job,
        "tenant": found.tenant,
        "document": found.document,
        "started": found.started_at.isoformat(timespec="seconds"),
        "ended": found.ended_at.isoformat(timespec="seconds") if found.ended_at else "",
        "error" if found.has_ended else "why": f"{found.error.type}: {found.error.message}" if found.error else "",
        "cost": money(found.cost_usd) if found.has_ended else "",
        "link": link or "",
    }
    show_fields({name: value for name, value in lines.items() if value})
    for step in found.pending:
        data(
            clean(f"pending   {step.step}, attempt {step.attempt}{f' after {step.last_error}' * bool(step.last_error)}")
        )
    return ExitCode.OK


def result(settings: Settings, run_id: str, *, as_json: bool) -> ExitCode:
    """How one run ended."""

    async def ask() -> RunReport:
        async with await Client.connect(settings) as client:
            return await client.result(run_id)

    report = run(ask())
    if as_json:
        data(json_line(report))
    else:
        show_report(report)
    return ExitCode.OK if report.outcome is Outcome.DONE else ExitCode.NOT_DONE


def cancel(settings: Settings, run_id: str) -> ExitCode:
    """Asks one run to stop."""

    async def ask() -> bool:
        async with await Client.connect(settings) as client:
            return await client.cancel(run_id)

    note(f"asked {run_id} to stop; see `engross status`" if run(ask()) else f"{run_id} had ended already")
    return ExitCode.OK


def list_runs(
    settings: Settings,
    *,
    job: str | None,
    tenant: str | None,
    outcome: Outcome | None,
    limit: int,
    as_json: bool,
) -> ExitCode:
    """Lists runs, newest first."""
    wanted: dict[str, Any] = {"job": job, "tenant": tenant, "outcome": outcome, "limit": limit}
    found = run(_collect(settings, wanted))
    if as_json:
        for each in found:
            data(json_line(each))
        return ExitCode.OK
    table = plain_table("run", "state", "document", "cost", "started")
    for each in found:
        state = f"{each.state}: {each.error.type}" if each.error and not each.has_ended else each.state
        cost = money(each.cost_usd) if each.has_ended else ""
        started = each.started_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(*cells(each.run_id, state, each.document, cost, started))
    out.print(table)
    return ExitCode.OK


async def _collect(settings: Settings, wanted: dict[str, Any]) -> list[RunStatus]:
    try:
        async with await Client.connect(settings) as client:
            return [each async for each in client.list(**wanted)]
    except ServiceUnavailable as error:
        # What has ended can be listed without Temporal.
        async with opened_results(settings) as results:
            found = [status_of_row(row) async for row in results.rows(**wanted)]
        note(f"engross: runs that are running are not shown: {error}")
        return found


@asynccontextmanager
async def opened_results(settings: Settings) -> AsyncIterator[ResultStore]:
    """The result store alone, for commands that need no Temporal."""
    results = ResultStore.open(settings.results_url)
    try:
        await results.start()
        yield results
    finally:
        await results.close()


def show_report(report: RunReport, link: str | None = None) -> None:
    """Prints how a run ended: a line with its accounts, what it lacks, then its answer, field by field.

    One that waits for somebody is one line.
    """
    if report.is_waiting:
        why = f"{report.error.type}: {report.error.message}" if report.error else ""
        state = report.outcome.value
        data(clean(f"{state}  {report.document}  {report.run_id}  {why}; after that it goes on by itself"))
        if report.outcome is Outcome.NEEDS_APPROVAL:
            data(clean(f"  engross approvals show {report.run_id}"))
        return
    accounts = [
        report.outcome.value,
        report.document,
        report.run_id or "not started",
        f"model {report.model or 'none'}",
        f"calls {report.calls}",
        f"repairs {report.repairs}",
        money(report.cost_usd),
    ]
    data(clean("  ".join(accounts)))
    if report.error:
        data(clean(f"  {report.error.type}: {report.error.message}"))
    if report.approval:
        who = f" by {' and '.join(report.approval.by)}" if report.approval.by else ""
        data(clean(f"  {report.approval.verdict.value}{who} ({report.approval.risk.value} risk)"))
    show_gaps(report)
    answer = report.answer if isinstance(report.answer, dict) else {"answer": report.answer}
    if report.answer is not None:
        show_fields({name: value if isinstance(value, str) else json.dumps(value) for name, value in answer.items()})
    if link:
        data(f"  {clean(link)}")
