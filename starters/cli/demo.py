"""`engross demo`: the shipped jobs over their samples, from nothing to typed answers."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from engross.catalog import load_catalog
from engross.contracts import Outcome
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.many import Item, submit_all
from starters.cli.output import data, money, note, progress
from starters.cli.paths import Found
from starters.cli.show import show_report
from starters.cli.stack import show_addresses, who_answers
from starters.client import Client
from starters.reports import RunReport, Submitted
from starters.running import run
from workers.local import stack

_JOBS: Final = ("invoice", "receipt")
_AT_ONCE: Final = 8
_TENANT: Final = "demo"


def demo(settings: Settings) -> ExitCode:
    """Starts the stack unless it runs, shows the samples' answers, and stops what it started."""
    items = _samples(settings)
    was_running = stack.status(settings) is not None
    try:
        status = stack.up(settings, worker=True, report=note)
        settings = settings.with_local_model(status.endpoints.local_model)  # as it runs now
        show_addresses(settings, status.endpoints)
        code = run(_show(settings, items))
        _say_where_to_look(status.endpoints.web_ui, stays=was_running)
    finally:
        if not was_running:
            stack.down(settings, note)
    return code


def _samples(settings: Settings) -> list[Item]:
    catalog = load_catalog(settings.jobs_path)
    return [
        Item(job=job, tenant=_TENANT, document=Found(sample), cache=False)
        for job in _JOBS
        for sample in catalog.get(job).samples()
    ]


async def _show(settings: Settings, items: Sequence[Item]) -> ExitCode:
    reports: list[RunReport] = []
    began = time.monotonic()
    async with await Client.connect(settings) as client:
        with progress(len(items), "documents") as advance:

            def finished(item: Item, result: Submitted | RunReport) -> None:
                if isinstance(result, RunReport):
                    reports.append(result.model_copy(update={"document": item.document.path.name}))
                advance()

            await submit_all(client, items, wait=True, at_once=_AT_ONCE, finished=finished)
        seconds = time.monotonic() - began
        for job in _JOBS:
            for report in sorted((each for each in reports if each.job == job), key=lambda each: each.document):
                data("")
                show_report(report, link=client.link(report.run_id) if report.run_id else None)
    _show_totals(settings, reports, seconds)
    return ExitCode.OK if all(report.outcome is Outcome.DONE for report in reports) else ExitCode.NOT_DONE


def _show_totals(settings: Settings, reports: Sequence[RunReport], seconds: float) -> None:
    done = sum(report.outcome is Outcome.DONE for report in reports)
    calls = sum(report.calls for report in reports)
    repairs = sum(report.repairs for report in reports)
    cost = sum((report.cost_usd or Decimal(0) for report in reports), Decimal(0))
    data("")
    data(
        f"{done} of {len(reports)} documents done in {seconds:.1f} s: {calls} model calls, {repairs} repairs,"
        f" {money(cost)}"
    )
    data(f"model: {who_answers(settings)}")


def _say_where_to_look(web_ui: str | None, *, stays: bool) -> None:
    if web_ui is None:
        return
    data(f"Temporal Web UI: {web_ui}")
    if not stays:
        data(
            "It stops now with everything else; `make up` (or `engross up --detach`) keeps it open to look at the runs."
        )
