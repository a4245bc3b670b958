"""What there is to know about runs: of those that go on from Temporal, of those that ended from the result store."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from temporalio import client as temporal

from activities.approvals.rows import ApprovalRows
from activities.storage import BlobStore, ResultStore, StoredRun
from engross.contracts import BudgetState, Outcome, RunResult, Verdict
from engross.endpoints import Endpoints
from engross.errors import RunNotFound
from engross.names import WORKFLOWS_QUEUE
from engross.settings import Settings
from starters import ends
from starters.asking import no_answer, run_budget
from starters.connection import RPC_TIMEOUT, WAIT_TIMEOUT, has_pollers, translated
from starters.parked import ParkedWatch
from starters.reports import Decided, RunReport, RunStatus, StillRunning, of_result, of_row, status_of_row
from workers.waking import WAITING


class RunReader:
    """The part of the client that changes nothing."""

    def __init__(
        self,
        *,
        settings: Settings,
        endpoints: Endpoints,
        connection: temporal.Client,
        blobs: BlobStore,
        results: ResultStore,
    ) -> None:
        self.settings = settings
        self.endpoints = endpoints
        self._temporal = connection
        self._blobs = blobs
        self._results = results
        self._parked = ParkedWatch(connection, endpoints.temporal)
        self.approvals: ApprovalRows | None = None  # with them, reports say what people decided

    async def wait(self, run_id: str, *, parked: bool = True) -> RunReport:
        """How the run ended, once it has, in whatever way. Raises `RunNotFound`.

        A run that is parked would keep one waiting until somebody acts: it is reported as such, and goes on by itself.
        `parked=False` waits on.
        """
        if not parked:
            return await self._ended(run_id)
        reports = [asyncio.create_task(self._ended(run_id)), asyncio.create_task(self._parked.wait(run_id))]
        try:
            done, _ = await asyncio.wait(reports, return_when=asyncio.FIRST_COMPLETED)
            # The first of them, its end, says more than the other when both are there.
            return next(report for report in reports if report in done).result()
        finally:
            for report in reports:
                report.cancel()
            await asyncio.gather(*reports, return_exceptions=True)  # whatever else they say is no news any more

    async def _ended(self, run_id: str) -> RunReport:
        report = await self._how_it_ended(run_id)
        row = await self.approvals.of_run(run_id) if self.approvals else None
        if row is None or row.state.verdict is Verdict.OPEN:
            return report
        state = row.state
        decided = Decided(
            approval_id=row.approval_id,
            risk=row.request.risk,
            verdict=state.verdict,
            by=() if state.verdict is Verdict.EXPIRED else state.decided_by,
            at=state.decided_at,
        )
        return report.model_copy(update={"approval": decided})

    async def _how_it_ended(self, run_id: str) -> RunReport:
        handle = self._temporal.get_workflow_handle(run_id)
        try:
            with translated(self.endpoints.temporal):
                end: object
                try:
                    end = await handle.result(rpc_timeout=WAIT_TIMEOUT)
                except temporal.WorkflowFailureError as failure:
                    end = failure.cause
                run = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RunNotFound:
            return of_row(await self._forgotten(run_id))
        row = await self._results.get(run_id)
        if row is not None and ends.is_of(row, run):
            return of_row(row)
        result = ends.result_of(run, end)
        return of_result(result, answer=await self._answer(result))

    async def result(self, run_id: str) -> RunReport:
        """How the run ended. Raises `RunNotFound`, or `StillRunning` when it has not ended."""
        status = await self.status(run_id)
        if status.has_ended:
            return await self._ended(run_id)
        if status.outcome is Outcome.NEEDS_APPROVAL and status.error:
            raise StillRunning(f"run {run_id} waits for people; {status.error.message}")
        if status.error:
            told = f"{status.error.type}: {status.error.message}"
            raise StillRunning(f"run {run_id} is parked, and goes on by itself; {told}")
        raise StillRunning(f"run {run_id} has not ended; see `engross status {run_id}`")

    async def status(self, run_id: str) -> RunStatus:
        """Where the run stands. Raises `RunNotFound`."""
        try:
            run = await self._describe(run_id)
        except RunNotFound:
            return status_of_row(await self._forgotten(run_id))
        if run.status is temporal.WorkflowExecutionStatus.RUNNING:
            return await ends.running(run)
        return ends.ended(run, await self._ended(run_id))

    async def list(
        self,
        *,
        job: str | None = None,
        tenant: str | None = None,
        outcome: Outcome | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[RunStatus]:
        """Runs, newest first: those that are running, then those that ended; or those with this `outcome` only."""
        shown = set()
        if outcome is None or outcome in WAITING:
            async for status in self._running(ends.running_query(job, tenant, outcome), limit):
                shown.add(status.run_id)
                yield status
        if outcome is Outcome.PARKED:
            return
        left = None if limit is None else limit - len(shown)
        async for row in self._results.rows(job=job, tenant=tenant, outcome=outcome, limit=left):
            # The row of a run that is running again tells of its last attempt.
            if row.run_id not in shown:
                yield status_of_row(row)

    async def budget(self, run_id: str) -> BudgetState:
        """What the run may spend and has spent, as it tells itself.

        Raises `RunNotFound`, and `ServiceUnavailable` also when no worker is there to answer.
        """
        await self.status(run_id)
        await self._check_served(run_id)
        with translated(self.endpoints.temporal):
            return await run_budget(self._temporal, run_id)

    async def _check_served(self, run_id: str) -> None:
        if not await self.is_served():
            raise no_answer(run_id)

    async def is_served(self) -> bool:
        """Whether a worker takes workflows, or has in the last minutes."""
        with translated(self.endpoints.temporal):
            return await has_pollers(self._temporal, WORKFLOWS_QUEUE)

    def link(self, run_id: str) -> str | None:
        """The run's page in Temporal's Web UI, where its address is known."""
        if self.endpoints.web_ui is None:
            return None
        return f"{self.endpoints.web_ui}/namespaces/{self._temporal.namespace}/workflows/{run_id}"

    async def _describe(self, run_id: str) -> temporal.WorkflowExecutionDescription:
        with translated(self.endpoints.temporal):
            return await self._temporal.get_workflow_handle(run_id).describe(rpc_timeout=RPC_TIMEOUT)

    async def _running(self, query: str, limit: int | None) -> AsyncIterator[RunStatus]:
        with translated(self.endpoints.temporal):
            async for run in self._temporal.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
                yield await ends.running(run)

    async def _forgotten(self, run_id: str) -> StoredRun:
        """The row of a run that Temporal's retention time has removed, or that never was."""
        row = await self._results.get(run_id)
        if row is None:
            raise RunNotFound(f"no run has the id {run_id!r}")
        return row

    async def _answer(self, result: RunResult) -> Any:
        return json.loads(await self._blobs.get(result.answer)) if result.answer else None
