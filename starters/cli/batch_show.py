"""What `engross batch` shows: where a batch stands, its rows, and which batches there are."""

from typing import Final

from engross.contracts import Outcome
from engross.errors import InvalidRequest
from engross.settings import Settings
from starters.batch_reports import BatchLine, BatchReport, BatchState, SubmittedBatch
from starters.batches import BatchClient
from starters.cli.batch_progress import cost_of, counts_of
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, money, note, out
from starters.cli.tables import cells, plain_table, show_fields
from starters.reports import json_line
from starters.running import run

_SHOWN_PROBLEMS: Final = 5
_OUTCOMES: Final = (*(outcome.value for outcome in Outcome), "duplicate")


def rows(settings: Settings, batch_id: str, *, outcome: str | None, as_json: bool) -> ExitCode:
    """Lists the rows of a batch that are accounted for so far."""

    if outcome is not None and outcome not in _OUTCOMES:
        raise InvalidRequest(f"--outcome is one of {', '.join(_OUTCOMES)}")

    async def ask() -> None:
        async with await BatchClient.connect(settings) as client:
            await client.is_running(batch_id)  # says so when there is no such batch
            if not as_json:
                data("row  outcome  document  run  error")
            async for row in client.batch_rows(batch_id, outcome=outcome):
                error = f"{row.error.type}: {row.error.message}" if row.error else ""
                shown = f"{row.row}  {row.outcome}  {clean(row.document)}  {row.run_id}  {clean(error)}".rstrip()
                data(json_line(row) if as_json else shown)

    run(ask())
    return ExitCode.OK


def list_batches(settings: Settings, *, limit: int, as_json: bool) -> ExitCode:
    """Lists batches, newest first."""

    async def ask() -> list[BatchLine]:
        async with await BatchClient.connect(settings) as client:
            return await client.batches(limit)

    found = run(ask())
    if as_json:
        for each in found:
            data(json_line(each))
        return ExitCode.OK
    table = plain_table("batch", "state", "rows", "cost", "started")
    for each in found:
        counts = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in sorted(each.rows.items()))
        cost = money(each.cost_usd) + (f" and {each.unpriced:,} unknown" if each.unpriced else "")
        table.add_row(*cells(each.batch_id, each.state.value, counts, cost, each.started_at.strftime("%Y-%m-%d %H:%M")))
    out.print(table)
    return ExitCode.OK


def show_started(started: SubmittedBatch, *, as_json: bool, in_data: bool) -> None:
    for each in started.unread[:_SHOWN_PROBLEMS]:
        note(f"refused: {each.error.message}")
    if len(started.unread) > _SHOWN_PROBLEMS:
        note(f"refused: {len(started.unread) - _SHOWN_PROBLEMS:,} more; `engross batch rows {started.batch_id}`")
    if as_json:
        data(json_line(started))
        return
    line = f"{started.batch_id}  {started.documents:,} documents{'  (joined)' if started.joined else ''}"
    (data if in_data else note)(line)


def show_batch(report: BatchReport, link: str | None, *, as_json: bool) -> None:
    if as_json:
        data(json_line(report))
        return
    lines = {
        "batch": report.batch_id,
        "state": report.state.value,
        "job": report.job,
        "tenant": report.tenant,
        "documents": f"{report.ended:,} of {report.total:,}",
        "outcomes": counts_of(report),
        "cost": cost_of(report),
        "started": report.started_at.isoformat(timespec="seconds"),
        "speed": f"{report.per_minute:,.0f} a minute" if report.per_minute else "",
        "at once": "" if report.has_ended else str(report.at_once),
        "error": f"{report.error.type}: {report.error.message}" if report.error else "",
        "next": _next(report),
        "link": link or "",
    }
    show_fields({name: value for name, value in lines.items() if value})


def _next(report: BatchReport) -> str:
    if report.state is BatchState.PAUSED:
        return f"engross batch resume {report.batch_id}"
    if report.has_ended and (report.failed or report.cancelled or report.ended < report.total):
        return f"engross batch retry-failed {report.batch_id}"
    return ""
