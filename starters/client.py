"""The public client: submit documents, wait for their runs, read the results.

async with await Client.connect() as client:
    run = await client.submit("invoice", Path("invoice.pdf"))
    report = await client.wait(run.run_id)
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from temporalio import client as temporal
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.storage import BlobStore, ResultStore, StoredRun
from engross.catalog import Catalog, load_catalog
from engross.contracts import DEFAULT_TENANT, BlobRef, DocumentSource, Outcome, RunRequest, RunResult
from engross.endpoints import Endpoints, resolve
from engross.errors import InvalidRequest, RunNotFound
from engross.job import LoadedJob
from engross.names import WORKFLOWS_QUEUE, is_name, workflow_id
from engross.settings import Settings, load_settings
from starters import ends, intake
from starters.connection import RPC_TIMEOUT, WAIT_TIMEOUT, connect, has_pollers, translated
from starters.reports import RunReport, RunStatus, StillRunning, Submitted, of_result, of_row, status_of_row

# Longer than anyone waits for an approval; without it a run that nobody serves would stay for ever.
_LONGEST_RUN: Final = timedelta(days=7)


def usable_job(catalog: Catalog, job: str, tenant: str) -> LoadedJob:
    """The job, if both names can be used. Raises `UnknownJob`, `JobBroken` or `InvalidRequest`."""
    if not is_name(tenant):
        raise InvalidRequest(f"tenant {tenant!r}: use lower-case letters, digits, '-' and '_', 63 at most")
    return catalog.get(job)


class Client:
    """A connection to one installation of Engross. Use as an async context manager, or call `close`.

    Every method raises `ServiceUnavailable` when Temporal or a store does not answer in time.
    """

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

    @classmethod
    async def connect(cls, settings: Settings | None = None) -> Self:
        """Connects to the services that `settings` (default: the environment's) name.

        Raises `ConfigurationError` or `ServiceUnavailable`, each with the fix.
        """
        settings = settings or load_settings()
        endpoints = resolve(settings)
        blobs = BlobStore.open(settings.blobs_url)
        connection = await connect(settings, endpoints)
        results = ResultStore.open(settings.results_url)
        client = cls(settings=settings, endpoints=endpoints, connection=connection, blobs=blobs, results=results)
        try:
            await results.start()
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Closes the stores. Temporal's connection closes with the process."""
        await self._results.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- starting ---------------------------------------------------------------------------------------------------

    async def submit(
        self,
        job: str,
        document: Path | bytes,
        *,
        tenant: str = DEFAULT_TENANT,
        name: str | None = None,
        again: bool = False,
        cache: bool = True,
    ) -> Submitted:
        """Starts the run of `job` over `document`, or joins the one that exists for equal work.

        Equal means: same job with the same prompts and schema, same models, same tenant, same bytes. A run that
        failed or was cancelled is run anew; `again` asks for a new run in any case, and `cache=False` for one that asks
        the models even where replies to equal requests are kept. Once this returns, the document
        is stored and the run goes on without the client. `name` is for people; default: the file's name.

        Raises `UnknownJob`, `JobBroken`, `InvalidRequest` (tenant), `DocumentNotFound`, `EmptyDocument`,
        `DocumentTooLarge`.
        """
        loaded = usable_job(self._catalog, job, tenant)
        blob, shown = await self._upload(document, tenant, name)
        request = RunRequest(
            job=job, tenant=tenant, cache=cache, document=DocumentSource(uri=f"blob:{blob.sha256}", name=shown)
        )
        models = [model for step in loaded.steps for model in step.models(self.settings.routes)]
        run_id = workflow_id(
            job=job,
            tenant=tenant,
            document_sha256=blob.sha256,
            version=":".join([loaded.version(), *map(str, models)]),
            nonce=secrets.token_hex(8) if again or not cache else "",
        )
        joined = await self._start(loaded, request, run_id)
        return Submitted(run_id=run_id, job=job, tenant=tenant, document=shown, joined=joined)

    @cached_property
    def _catalog(self) -> Catalog:
        return load_catalog(self.settings.jobs_path)

    async def _upload(self, document: Path | bytes, tenant: str, name: str | None) -> tuple[BlobRef, str]:
        limit = self.settings.max_document_mb
        if isinstance(document, Path):
            shown = document.name if name is None else name
            data = await asyncio.to_thread(intake.read_document, document, limit)
        else:
            shown = name or "document"
            data = intake.checked(document, shown, limit)
        # Undecodable bytes of file names become question marks: Temporal and the stores speak UTF-8 only.
        return await self._blobs.put(tenant, data), shown.encode("utf-8", "replace").decode()

    async def _start(self, loaded: LoadedJob, request: RunRequest, run_id: str) -> bool:
        """Starts the run; whether one was there already."""
        attributes = [SearchAttributePair(ends.JOB, request.job), SearchAttributePair(ends.TENANT, request.tenant)]
        try:
            with translated(self.endpoints.temporal):
                await self._temporal.start_workflow(
                    loaded.job.pattern.workflow,
                    request,
                    id=run_id,
                    task_queue=WORKFLOWS_QUEUE,
                    # One run of equal work at a time, and none after one that ended well: both tell us to join.
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    search_attributes=TypedSearchAttributes(attributes),
                    static_summary=f"{request.job} for {request.tenant}",
                    execution_timeout=_LONGEST_RUN,
                    priority=Priority(fairness_key=request.tenant),
                    rpc_timeout=RPC_TIMEOUT,
                )
        except WorkflowAlreadyStartedError:
            return True
        return False

    # --- looking ----------------------------------------------------------------------------------------------------

    async def wait(self, run_id: str) -> RunReport:
        """How the run ended, once it has, in whatever way. Raises `RunNotFound`."""
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
        if (await self.status(run_id)).outcome is None:
            raise StillRunning(f"run {run_id} has not ended; see `engross status {run_id}`")
        return await self.wait(run_id)

    async def status(self, run_id: str) -> RunStatus:
        """Where the run stands. Raises `RunNotFound`."""
        try:
            run = await self._describe(run_id)
        except RunNotFound:
            return status_of_row(await self._forgotten(run_id))
        if run.status is temporal.WorkflowExecutionStatus.RUNNING:
            return ends.running(run)
        return ends.ended(run, await self.wait(run_id))

    async def list(
        self,
        *,
        job: str | None = None,
        tenant: str | None = None,
        outcome: Outcome | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[RunStatus]:
        """Runs, newest first: those that are running (unless `outcome` is given), then those that ended."""
        shown = set()
        if outcome is None:
            async for status in self._running(job, tenant, limit):
                shown.add(status.run_id)
                yield status
        left = None if limit is None else limit - len(shown)
        async for row in self._results.rows(job=job, tenant=tenant, outcome=outcome, limit=left):
            # The row of a run that is running again tells of its last attempt.
            if row.run_id not in shown:
                yield status_of_row(row)

    async def cancel(self, run_id: str) -> bool:
        """Asks the run to stop; False when it had ended already. Raises `RunNotFound`."""
        if (await self.status(run_id)).outcome is not None:
            return False
        try:
            with translated(self.endpoints.temporal):
                await self._temporal.get_workflow_handle(run_id).cancel(rpc_timeout=RPC_TIMEOUT)
        except RunNotFound:
            return False  # it ended in between
        return True

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

    async def _running(self, job: str | None, tenant: str | None, limit: int | None) -> AsyncIterator[RunStatus]:
        query = ends.running_query(job, tenant)
        with translated(self.endpoints.temporal):
            async for run in self._temporal.list_workflows(query, limit=limit, rpc_timeout=RPC_TIMEOUT):
                yield ends.running(run)

    async def _forgotten(self, run_id: str) -> StoredRun:
        """The row of a run that Temporal's retention time has removed, or that never was."""
        row = await self._results.get(run_id)
        if row is None:
            raise RunNotFound(f"no run has the id {run_id!r}")
        return row

    async def _answer(self, result: RunResult) -> Any:
        return json.loads(await self._blobs.get(result.answer)) if result.answer else None
