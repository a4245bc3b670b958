"""`engross replay`: whether the code that is installed here can go on with the runs of a live server."""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Final

from temporalio.client import Client

from engross.catalog import load_catalog
from engross.endpoints import resolve
from engross.errors import InvalidRequest
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note, out, progress
from starters.cli.tables import cells, plain_table
from starters.connection import RPC_TIMEOUT, connect, translated
from starters.replay import FIX, Execution, Replayed, listed, misfits, named, open_query, replayed
from starters.running import run
from workers.wiring import workflows_of

_TYPE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


@dataclass(frozen=True)
class Wanted:
    """What to replay: these runs, or everything that is open, of one type when it is named."""

    runs: tuple[str, ...] = ()
    all_open: bool = False
    workflow_type: str | None = None
    limit: int | None = None

    def check(self) -> None:
        """Raises `InvalidRequest` for what does not go together."""
        if bool(self.runs) == self.all_open:
            raise InvalidRequest("name the runs to replay, or give --all-open for all that have not ended: one of both")
        if self.runs and (self.workflow_type or self.limit):
            raise InvalidRequest("--type and --limit go with --all-open")
        if self.workflow_type and not _TYPE.fullmatch(self.workflow_type):
            raise InvalidRequest("--type is a workflow type: letters, digits and _.:-")


def replay(settings: Settings, wanted: Wanted, *, as_json: bool) -> ExitCode:
    """Replays what is wanted and prints a row for each; not done when one of them does not fit."""
    wanted.check()
    results = run(_replay(settings, wanted))
    show(results, as_json=as_json)
    return ExitCode.NOT_DONE if misfits(results) else ExitCode.OK


async def _replay(settings: Settings, wanted: Wanted) -> list[Replayed]:
    endpoints = resolve(settings)
    connection = await connect(settings, endpoints)
    with translated(endpoints.temporal):
        if wanted.runs:
            return await checked(settings, connection, named(connection, wanted.runs), len(wanted.runs))
        query = open_query(wanted.workflow_type)
        return await checked_open(settings, connection, query, wanted.limit)


async def checked_open(settings: Settings, connection: Client, query: str, limit: int | None = None) -> list[Replayed]:
    """How all that a filter finds replays here, with progress. Raises `RPCError`."""
    total = (await connection.count_workflows(query, rpc_timeout=RPC_TIMEOUT)).count
    total = min(total, limit or total)
    return await checked(settings, connection, listed(connection, query, limit), total)


async def checked(
    settings: Settings, connection: Client, executions: AsyncIterator[Execution], total: int
) -> list[Replayed]:
    """How each replays against the workflows of this installation, those of its jobs included."""
    catalog = load_catalog(settings.jobs_path)
    for name in catalog.broken:
        note(f"the job {name} is broken; if it has a workflow of its own, its runs cannot fit")
    results = []
    with ExitStack() as stack:
        advance: Callable[[], None] = stack.enter_context(progress(total, "replayed"))
        async for result in replayed(connection, workflows_of(catalog), executions):
            results.append(result)
            advance()
    return results


def show(results: Sequence[Replayed], *, as_json: bool) -> None:
    """A row for each as JSON; for people those that don't fit, how many there were, and what to do."""
    wrong = misfits(results)
    if as_json:
        for result in results:
            data(json.dumps({**asdict(result), "fits": result.misfit is None}))
    elif wrong:
        table = plain_table("run", "type", "event", "what", "why")
        for result, why in wrong:
            event_id = str(why.event_id or "")
            table.add_row(*cells(result.workflow_id, result.workflow_type, event_id, why.event, why.reason))
        out.print(table)
    told = f"{len(results)} replayed, {len(results) - len(wrong)} fit" + (f", {len(wrong)} do not" if wrong else "")
    note(f"{told}. {FIX}" if wrong else told)
