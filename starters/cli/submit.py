"""`engross submit`."""

import asyncio
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from engross.catalog import load_catalog
from engross.contracts import Outcome
from engross.errors import ServiceUnavailable
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.many import Item, submit_all
from starters.cli.output import clean, data, money, note, progress
from starters.cli.paths import find_documents
from starters.cli.show import show_report
from starters.client import Client, usable_job
from starters.reports import RunReport, Submitted, json_line
from starters.running import run

_WORKER_HINT_SECONDS: Final = 10.0


def submit(
    settings: Settings,
    job: str,
    paths: Sequence[str],
    *,
    tenant: str,
    again: bool,
    cache: bool,
    review: bool,
    wait: bool,
    at_once: int,
    as_json: bool,
) -> ExitCode:
    """Submits what `paths` name and prints run ids, or with `wait` how each document ended."""
    usable_job(load_catalog(settings.jobs_path), job, tenant)  # known to be wrong before anything is asked
    items = [
        Item(job=job, tenant=tenant, document=document, again=again, cache=cache, review=review)
        for document in find_documents(paths)
    ]
    reports: list[RunReport] = []
    try:
        run(_submit(settings, items, reports, wait=wait, at_once=at_once, as_json=as_json))
    except KeyboardInterrupt:
        note("engross: interrupted; runs that were started go on: see them with `engross list`")
        return ExitCode.INTERRUPTED
    if wait:
        note(_summary(reports))
    return ExitCode.OK if all(report.outcome is Outcome.DONE for report in reports) else ExitCode.NOT_DONE


async def _submit(
    settings: Settings,
    items: Sequence[Item],
    reports: list[RunReport],
    *,
    wait: bool,
    at_once: int,
    as_json: bool,
) -> None:
    async with await Client.connect(settings) as client:
        hint = asyncio.create_task(_hint_at_missing_worker(client, reports)) if wait else None
        with progress(len(items), "ended" if wait else "submitted") as advance:

            def finished(item: Item, result: Submitted | RunReport) -> None:
                if isinstance(result, RunReport):
                    reports.append(result)
                _show(result, as_json=as_json)
                advance()

            await submit_all(client, items, wait=wait, at_once=at_once, finished=finished)
        if hint is not None:
            hint.cancel()


async def _hint_at_missing_worker(client: Client, reports: Sequence[RunReport]) -> None:
    await asyncio.sleep(_WORKER_HINT_SECONDS)
    with contextlib.suppress(ServiceUnavailable):  # whoever waits for the runs meets it as well, and says so
        if reports or await client.is_served():
            return
        note("no worker is polling, so nothing moves: start one with `engross worker`")


def _show(result: Submitted | RunReport, *, as_json: bool) -> None:
    if as_json:
        data(json_line(result))
    elif isinstance(result, Submitted):
        data(f"{result.run_id}  {clean(result.document)}{'  (joined)' if result.joined else ''}")
    elif result.run_id is None:
        note(f"refused: {result.error.message if result.error else ''}")
    else:
        show_report(result)


def _summary(reports: Sequence[RunReport]) -> str:
    counts = {outcome: sum(report.outcome is outcome for report in reports) for outcome in Outcome}
    ended = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    costs = [report.cost_usd for report in reports if not report.is_waiting]
    known = sum((cost for cost in costs if cost is not None), Decimal(0))
    unknown = costs.count(None)
    return f"{len(reports)} documents: {ended}; {money(known)}" + (f" and {unknown} unknown" if unknown else "")
