"""The public client: submit documents, wait for their runs, read the results.

async with await Client.connect() as client:
    run = await client.submit("invoice", Path("invoice.pdf"))
    report = await client.wait(run.run_id)
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.approvals.rows import ApprovalRows
from activities.documents.inline import is_plain
from activities.storage import ResultStore
from activities.storage.database import Database
from engross.catalog import Catalog, load_catalog
from engross.contracts import DEFAULT_TENANT, BlobRef, BudgetState, DocumentSource, RunRequest
from engross.endpoints import resolve
from engross.errors import InvalidRequest, RunNotFound
from engross.job import LoadedJob
from engross.names import PLAIN_TEXT, WORKFLOWS_QUEUE, is_name, workflow_id
from engross.settings import Settings, load_settings
from starters import ends, intake
from starters.asking import raise_run_budget
from starters.connection import RPC_TIMEOUT, connect, translated
from starters.identity import submitter_of
from starters.reader import RunReader
from starters.reports import Submitted
from workers.stores_access import open_blobs
from workers.waking import wake, wake_parked

# Longer than anything but people takes; without it a run that nobody serves would stay for ever.
_LONGEST_RUN: Final = timedelta(days=7)
# People may ask for more time, and for more attempts.
_LONGEST_DECISION: Final = timedelta(days=365)


def usable_job(catalog: Catalog, job: str, tenant: str) -> LoadedJob:
    """The job, if both names can be used. Raises `UnknownJob`, `JobBroken` or `InvalidRequest`."""
    if not is_name(tenant):
        raise InvalidRequest(f"tenant {tenant!r}: use lower-case letters, digits, '-' and '_', 63 at most")
    return catalog.get(job)


class Client(RunReader):
    """A connection to one installation of Engross. Use as an async context manager, or call `close`.

    `submitter` is in whose name documents are submitted: the person whose key ENGROSS_USER_KEY is, or the local user.

    Every method raises `ServiceUnavailable` when Temporal or a store does not answer in time.
    """

    submitter: str = ""

    @classmethod
    async def connect(cls, settings: Settings | None = None) -> Self:
        """Connects to the services that `settings` (default: the environment's) name.

        Raises `ConfigurationError` or `ServiceUnavailable`, each with the fix.
        """
        settings = settings or load_settings()
        endpoints = resolve(settings)
        blobs = open_blobs(settings)
        connection = await connect(settings, endpoints)
        database = Database.open(settings.results_url)
        results = ResultStore(database)
        client = cls(settings=settings, endpoints=endpoints, connection=connection, blobs=blobs, results=results)
        try:
            await results.start()
            client.approvals = ApprovalRows(database)
            await client.approvals.start()
            client.submitter = await submitter_of(settings, database)
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
        review: bool = False,
        submitter: str | None = None,
    ) -> Submitted:
        """Starts the run of `job` over `document`, or joins the one that exists for equal work.

        Equal means: same job with the same prompts and schema, same models, same tenant, same bytes. A run that
        failed or was cancelled is run anew; `again` asks for a new run in any case, and `cache=False` for one that asks
        the models even where replies to equal requests are kept. With `review` people decide on the
        answer, whatever the risk; `submitter`, by default the client's, can't. Once this returns, the document is
        stored and the run goes on without the client. `name` is for people; default: the file's name.

        Raises `UnknownJob`, `JobBroken`, `InvalidRequest` (tenant), `DocumentNotFound`, `EmptyDocument`,
        `DocumentTooLarge`.
        """
        loaded = usable_job(self._catalog, job, tenant)
        blob, source = await self._upload(document, tenant, name)
        request = RunRequest(
            job=job,
            tenant=tenant,
            cache=cache,
            document=source,
            review=review,
            submitter=self.submitter if submitter is None else submitter,
        )
        models = loaded.models(self.settings.routes)
        run_id = workflow_id(
            job=job,
            tenant=tenant,
            document_sha256=blob.sha256,
            version=":".join([loaded.version(), *map(str, models)]),
            nonce=secrets.token_hex(8) if again or not cache else "review" if review else "",
        )
        joined = await self._start(loaded, request, run_id)
        return Submitted(run_id=run_id, job=job, tenant=tenant, document=source.name, joined=joined)

    @cached_property
    def _catalog(self) -> Catalog:
        return load_catalog(self.settings.jobs_path)

    async def _upload(self, document: Path | bytes, tenant: str, name: str | None) -> tuple[BlobRef, DocumentSource]:
        limit = self.settings.max_document_mb
        if isinstance(document, Path):
            shown = document.name if name is None else name
            data = await asyncio.to_thread(intake.read_document, document, limit)
        else:
            shown = name or "document"
            data = intake.checked(document, shown, limit)
        # Undecodable bytes of file names become question marks: Temporal and the stores speak UTF-8 only.
        shown = shown.encode("utf-8", "replace").decode()
        blob = await self._blobs.put(tenant, data)
        media_type = PLAIN_TEXT if is_plain(data, shown) else ""
        return blob, DocumentSource(uri=f"blob:{blob.sha256}", name=shown, media_type=media_type)

    async def _start(self, loaded: LoadedJob, request: RunRequest, run_id: str) -> bool:
        """Starts the run; whether one was there already."""
        waits = loaded.waits_for_people or request.review
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
                    execution_timeout=_LONGEST_DECISION if waits else _LONGEST_RUN,
                    priority=Priority(fairness_key=request.tenant),
                    rpc_timeout=RPC_TIMEOUT,
                )
        except WorkflowAlreadyStartedError:
            return True
        return False

    # --- acting on runs ---------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str) -> bool:
        """Asks the run to stop; False when it had ended already. Raises `RunNotFound`."""
        if (await self.status(run_id)).has_ended:
            return False
        try:
            with translated(self.endpoints.temporal):
                await self._temporal.get_workflow_handle(run_id).cancel(rpc_timeout=RPC_TIMEOUT)
        except RunNotFound:
            return False  # it ended in between
        return True

    async def resume(self, run_id: str) -> bool:
        """Tells a parked run to try again now; False when it had ended already. Raises `RunNotFound`."""
        if (await self.status(run_id)).has_ended:
            return False
        with translated(self.endpoints.temporal):
            return await wake(self._temporal, run_id)

    async def resume_parked(
        self,
        *,
        tenant: str | None = None,
        kinds: Collection[str] | None = None,
        after_first: Callable[[], Awaitable[object]] | None = None,
    ) -> int:
        """Tells the parked runs to try again now, and how many there were; see `workers.waking.wake_parked`."""
        with translated(self.endpoints.temporal):
            return await wake_parked(self._temporal, tenant=tenant, kinds=kinds, after_first=after_first)

    async def raise_budget(self, run_id: str, *, by_usd: Decimal, by: str = "") -> BudgetState:
        """Lets the run spend more, and tells it to try again now; `by` says who decided it.

        Raises `RunNotFound`, `InvalidRequest` for a run that has ended or has no budget of its own and for an amount
        that is none, `ServiceUnavailable` also when no worker is there to answer.
        """
        status = await self.status(run_id)
        if status.has_ended:
            raise InvalidRequest(f"run {run_id} has ended ({status.state}), so its budget can't be raised")
        await self._check_served(run_id)
        with translated(self.endpoints.temporal):
            return await raise_run_budget(self._temporal, run_id, by_usd=by_usd, by=by)
