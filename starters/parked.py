"""Tells those who wait for runs when one of them is parked: one question a second, however many there are."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from temporalio import client as temporal

from engross.errors import InvalidRequest, RunNotFound, ServiceUnavailable
from starters import ends
from starters.connection import RPC_TIMEOUT, translated
from starters.reports import RunReport
from workers.waking import waiting_query, waits_for

_EVERY_SECONDS: Final = 1.0
# Filters have a greatest length; this many of our ids stay far below it.
_IDS_A_FILTER: Final = 100
# An id that cannot end a literal in a filter, as all of ours are. Runs that are started by hand have any id.
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,255}")


class ParkedWatch:
    """Looks for parked runs among those that are waited for, as long as anybody waits."""

    def __init__(self, connection: temporal.Client, address: str) -> None:
        self._temporal = connection
        self._address = address
        self._waiting: list[tuple[str, asyncio.Future[RunReport]]] = []
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, run_id: str) -> RunReport:
        """The report on the run as soon as it is parked; waits for ever when it never is."""
        looking = self._looking = self._looking or asyncio.create_task(self._look_again_and_again())
        report: asyncio.Future[RunReport] = asyncio.get_running_loop().create_future()
        self._waiting.append((run_id, report))
        try:
            await asyncio.wait((report, looking), return_when=asyncio.FIRST_COMPLETED)
            if not report.done():
                looking.result()  # it never ends, but it can fail
            return await report
        finally:
            self._waiting.remove((run_id, report))
            if not self._waiting:
                looking.cancel()
                self._looking = None

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            # A server that is away for a moment is no news here: whoever waits for a result asks it as well, and says
            # so when it stays away.
            with suppress(ServiceUnavailable):
                await self._look()

    async def _look(self) -> None:
        run_ids = {run_id for run_id, _ in self._waiting}
        plain = [run_id for run_id in run_ids if _PLAIN_ID.fullmatch(run_id)]
        odd = run_ids.difference(plain)
        for run_id in [*odd, *[listed async for listed in self._listed(plain)]]:
            report = await self._report(run_id)
            for waited_for, waiter in self._waiting:
                if report and waited_for == run_id and not waiter.done():
                    waiter.set_result(report)

    async def _listed(self, run_ids: Sequence[str]) -> AsyncIterator[str]:
        for first in range(0, len(run_ids), _IDS_A_FILTER):
            some = ", ".join(f"'{run_id}'" for run_id in run_ids[first : first + _IDS_A_FILTER])
            query = f"{waiting_query()} AND WorkflowId IN ({some})"
            with translated(self._address):
                async for run in self._temporal.list_workflows(query, rpc_timeout=RPC_TIMEOUT):
                    yield run.id

    async def _report(self, run_id: str) -> RunReport | None:
        """None when it is not parked: lists are a moment late."""
        try:
            with translated(self._address):
                run = await self._temporal.get_workflow_handle(run_id).describe(rpc_timeout=RPC_TIMEOUT)
        except (RunNotFound, InvalidRequest):
            return None  # the question for its result has the same answer
        waits = await waits_for(run)
        return ends.waiting(run, *waits) if waits else None
