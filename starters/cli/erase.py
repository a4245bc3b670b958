"""`engross tenant erase`."""

import json
import sys
from contextlib import AsyncExitStack
from typing import Any, Final

import typer

from activities.approvals.audit import AuditLog
from activities.encryption.keys import TenantKeys
from activities.storage import BlobStore
from activities.storage.database import Database
from engross.endpoints import resolve
from engross.errors import InvalidRequest
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note
from starters.cli.users_access import actor
from starters.connection import connect
from starters.erase import SETTLE_SECONDS, Erased, Eraser, Manner
from starters.erase_runs import TenantRuns
from starters.erase_stores import TenantBlobs, TenantCompletions, TenantRows
from starters.running import run
from workers.redis_access import installation_secret, open_redis

_KEPT: Final = "its lines in the audit log, the amounts that its runs spent, the roles of its people"


def erase(
    settings: Settings, tenant: str, *, yes: bool, histories: bool, settle_seconds: float | None, as_json: bool
) -> ExitCode:
    """Erases a tenant, and says what was erased, what is left, and what was found afterwards."""
    seconds = SETTLE_SECONDS if settle_seconds is None else settle_seconds
    manner = Manner(histories=histories, settle_seconds=seconds, actor=actor())
    erased = run(_erase(settings, tenant, manner, yes=yes))
    if as_json:
        data(json.dumps(_json_of(erased)))
    else:
        _show(erased)
    return ExitCode.OK if erased.is_complete else ExitCode.NOT_DONE


async def _erase(settings: Settings, tenant: str, manner: Manner, *, yes: bool) -> Erased:
    async with AsyncExitStack() as stack:
        eraser = await _eraser(settings, stack)
        eraser.check(tenant, manner)
        if not yes:
            _ask(tenant)
        return await eraser.erase(tenant, manner)


async def _eraser(settings: Settings, stack: AsyncExitStack) -> Eraser:
    """All is connected before anything is destroyed."""
    endpoints = resolve(settings)
    database = Database.open(settings.results_url)
    stack.push_async_callback(database.close)
    rows, log = TenantRows(database), AuditLog(database, installation_secret(settings))
    await rows.start()
    await log.start()
    blobs = BlobStore.open(settings.blobs_url)
    await blobs.check()
    redis = await stack.enter_async_context(open_redis(settings, endpoints.redis))
    return Eraser(
        keys=TenantKeys.of(settings),
        runs=TenantRuns(await connect(settings, endpoints)),
        stores=(TenantBlobs(blobs), TenantCompletions(redis), rows),
        log=log,
        tell=note,
    )


def _ask(tenant: str) -> None:
    """Raises `InvalidRequest` unless somebody types the name again."""
    if not sys.stdin.isatty():
        raise InvalidRequest("nobody can be asked here: --yes erases without asking")
    note(f"This destroys everything of tenant {tenant}. Nobody can take it back.")
    if typer.prompt(f"Type {tenant} to erase it", err=True, default="", show_default=False) != tenant:
        raise InvalidRequest("that is another name; nothing was erased")


def _show(erased: Erased) -> None:
    data(f"tenant {erased.tenant}")
    lines = {"keys destroyed": erased.keys, "runs ended": erased.terminated}
    lines |= {f"{name} deleted": count for name, count in erased.deleted.items()}
    lines |= {"histories deleted": erased.deleted_histories}
    for name, count in lines.items():
        data(f"  {name:24}{count:>8,}")
    for line in _left(erased):
        data(f"  {line}")


def _left(erased: Erased) -> list[str]:
    """What a person has to know of what is still there."""
    histories, lines = erased.histories, [f"left    {_KEPT}"]
    sealed = histories.kept - histories.clear
    if sealed:
        lines.append(f"left    {sealed:,} histories in Temporal that nobody can read; they go when its retention ends")
    if histories.clear:
        lines.append(f"READABLE  {histories.clear:,} histories in Temporal are not encrypted: --histories deletes them")
    if not erased.is_encrypted:
        lines.append("READABLE  backups and logs of stores, as encryption is off: delete them where they are kept")
    found = ", ".join(f"{count:,} {name}" for name, count in erased.found.items())
    lines.append(f"FOUND   {found}: run the command again" if found else "checked nothing of it was found")
    return lines


def _json_of(erased: Erased) -> dict[str, Any]:
    return {
        "tenant": erased.tenant,
        "complete": erased.is_complete,
        "encrypted": erased.is_encrypted,
        "keys_destroyed": erased.keys,
        "runs_ended": erased.terminated,
        "histories_deleted": erased.deleted_histories,
        "deleted": dict(erased.deleted),
        "found": dict(erased.found),
        "histories_left": {"total": erased.histories.kept, "clear": erased.histories.clear},
    }
