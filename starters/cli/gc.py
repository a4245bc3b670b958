"""`engross gc`: deletes what is old and needed by nothing."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from activities.storage.database import Database
from engross.endpoints import Endpoints, resolve
from engross.errors import EngrossError
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note, out
from starters.cli.tables import cells, plain_table
from starters.connection import connect
from starters.reports import json_line
from starters.retention.histories import OpenWorkflows
from starters.retention.lock import exclusive
from starters.retention.policy import Policy, policy_of
from starters.retention.report import Amount, Report, TenantReport, Told
from starters.retention.rows import Rows
from starters.retention.sweeping import Stores, collect
from starters.running import run
from workers.redis_access import open_redis
from workers.stores_access import open_blobs

_TELL_EVERY_SECONDS: Final = 5.0
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def gc(settings: Settings, *, dry_run: bool, tenant: str | None, as_json: bool) -> ExitCode:
    """Deletes, or in a dry run counts, and shows what was deleted of each tenant."""
    report = Report(is_dry=dry_run)
    try:
        policy = run(_collect(settings, tenant, report))
    except EngrossError:
        # The error itself comes after this.
        note("part of it is deleted; run `engross gc` again" if report.has_deleted else "nothing was deleted")
        raise
    _show(policy, report, as_json=as_json)
    return ExitCode.OK


async def _collect(settings: Settings, tenant: str | None, report: Report) -> Policy:
    endpoints = resolve(settings)
    client = await connect(settings, endpoints)
    policy = await policy_of(client, settings, tenant)
    if policy.raised_from is not None:
        note(
            f"ENGROSS_RESULT_DAYS is {policy.raised_from:g}, but Temporal shows ended runs longer: their results stay"
            f" as long as that, in namespace {client.namespace}"
        )
    database = Database.open(settings.results_url)
    try:
        rows = Rows(database, policy)
        await rows.start()
        stores = Stores(OpenWorkflows(client), rows, open_blobs(settings))
        async with _only_one(settings, endpoints, report) as check:
            await collect(stores, policy, report, check, _teller())
    finally:
        await database.close()
    return policy


@asynccontextmanager
async def _only_one(settings: Settings, endpoints: Endpoints, report: Report) -> AsyncIterator[Callable[[], None]]:
    """What says whether this process may delete. A dry run may not, and needs no lock."""
    if report.is_dry:
        yield lambda: None
        return
    async with open_redis(settings, endpoints.redis) as client, exclusive(client) as lease:
        yield lease.check


def _teller() -> Told:
    """Says now and then what is being done."""
    said = time.monotonic()

    def told(what: str, count: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _TELL_EVERY_SECONDS:
            said = time.monotonic()
            note(f"{what}: {count:,}")

    return told


def _show(policy: Policy, report: Report, *, as_json: bool) -> None:
    if as_json:
        for each in report.tenants:
            data(json_line(each))
        return
    word = "would delete" if report.is_dry else "deleted"
    note(f"{report.open_workflows:,} open workflows were asked what they need")
    note(f"blobs that nothing needs go when put before {policy.blobs_before:%Y-%m-%d %H:%M} UTC")
    ended = f"before {policy.runs_before:%Y-%m-%d %H:%M} UTC" if policy.runs_before else "never (ENGROSS_RESULT_DAYS)"
    note(f"runs go when ended {ended}")
    if not report.tenants:
        note(f"{word} nothing: there is nothing")
        return
    table = plain_table("tenant", "blobs kept", "young", word, "runs", "batches", "approvals")
    for column in table.columns[1:]:
        column.justify = "right"
    for each in report.tenants:
        table.add_row(*cells(each.tenant, *_amounts(each), *(f"{count:,}" for count in _counts(each))))
    out.print(table)


def _amounts(report: TenantReport) -> list[str]:
    return [f"{amount.blobs:,} ({_size(amount)})" for amount in (report.kept, report.young, report.deleted)]


def _counts(report: TenantReport) -> tuple[int, int, int]:
    return report.runs, report.batches, report.approvals


def _size(amount: Amount) -> str:
    size, unit = float(amount.bytes), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{1 if unit else 0}f} {_UNITS[unit]}"
