"""The public client for batches: one workflow over many documents.

async with await BatchClient.connect() as client:
    batch = await client.submit_batch("invoice", [BatchItem("a.pdf", Path("a.pdf")), ...])
    report = await client.wait_batch(batch.batch_id, every_seconds=5)
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from engross.contracts import DEFAULT_TENANT, MOST_AT_ONCE, BatchRequest, DocumentSource, Outcome, WindowChange
from engross.errors import EmptyBatch, InvalidRequest
from engross.job import LoadedJob
from engross.names import BATCH, PAUSE_UPDATE, SET_WINDOW_UPDATE, UNPAUSE_UPDATE, WORKFLOWS_QUEUE
from starters import ends
from starters.asking import no_answer
from starters.batch_items import BatchItem, Manifest, upload
from starters.batch_reader import BatchReader
from starters.batch_reports import SubmittedBatch
from starters.client import Client, usable_job
from starters.connection import RPC_TIMEOUT, translated

DEFAULT_AT_ONCE: Final[int] = BatchRequest.model_fields["at_once"].default
DEFAULT_GROUP: Final[int] = BatchRequest.model_fields["group"].default

_LONGEST_BATCH: Final = timedelta(days=30)
_ID_DIGITS: Final = 20
_RETRIED: Final = (Outcome.FAILED, Outcome.CANCELLED)


class BatchClient(BatchReader, Client):
    """A `Client` that knows batches too. Every method raises `ServiceUnavailable` as those of `Client` do."""

    async def submit_batch(
        self,
        job: str,
        items: Iterable[BatchItem],
        *,
        tenant: str = DEFAULT_TENANT,
        at_once: int = DEFAULT_AT_ONCE,
        group: int = DEFAULT_GROUP,
        again: bool = False,
        cache: bool = True,
        uploaded: Callable[[], None] = lambda: None,
    ) -> SubmittedBatch:
        """Stores the documents and starts a batch over them, or joins the one that exists for equal work.

        Equal means: same documents in the same order, same job with the same prompts, schema and models, same tenant.
        A batch that failed as a whole or was cancelled is run anew; `again` asks for a new one in any case, and
        `cache=False` for one that asks the models even where replies to equal requests are kept. `uploaded` is called
        for each document.

        Raises `UnknownJob`, `JobBroken`, `InvalidRequest` (tenant, numbers) and `EmptyBatch`; what is wrong with a
        single document is its row's error.
        """
        loaded = usable_job(self._catalog, job, tenant)
        request = _request(job, tenant, cache=cache, at_once=at_once, group=group, submitter=self.submitter)
        manifest = await upload(
            self._blobs, tenant, items, max_megabytes=self.settings.max_document_mb, uploaded=uploaded
        )
        nonce = secrets.token_hex(8) if again or not cache else ""
        return await self._start_batch(
            loaded, request, manifest, nonce, WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
        )

    async def retry_failed(self, batch_id: str) -> SubmittedBatch | None:
        """Starts a batch over those documents of `batch_id` that failed or were cancelled so far; None without any.

        When the batch itself was stopped, those that it never came to are among them; rows that say not where their
        document is are left out. While it runs, asking for it again joins it; once it has ended, that starts another.
        Raises `RunNotFound`, `EmptyBatch` when all are left out, `UnknownJob`, `JobBroken`.
        """
        failed = [row for kind in _RETRIED async for row in self._results.batches.rows(batch_id, outcome=kind.value)]
        rows = {row.row: BatchItem(row.name, row.uri) for row in failed} | await self.never_begun(batch_id)
        if not rows:
            return None
        items = [rows[number] for number in sorted(rows) if rows[number].document]
        if not items:
            raise EmptyBatch(f"no failed row of {batch_id} names a document that could be read again: submit them anew")
        job, tenant = await self.whose(batch_id)
        loaded = usable_job(self._catalog, job, tenant)
        manifest = await upload(self._blobs, tenant, items, max_megabytes=self.settings.max_document_mb)
        request = _request(job, tenant, group=DEFAULT_GROUP, submitter=self.submitter)
        attempt = 0
        while True:
            attempt += 1
            nonce = f"{batch_id} {attempt}"
            started = await self._start_batch(loaded, request, manifest, nonce, WorkflowIDReusePolicy.REJECT_DUPLICATE)
            if not started.joined or await self.is_running(started.batch_id):
                return started

    # --- acting on batches ------------------------------------------------------------------------------------------

    async def pause_batch(self, batch_id: str) -> None:
        """Starts no more documents; those in flight end. Raises `RunNotFound`, `InvalidRequest` when it has ended."""
        await self._update(batch_id, PAUSE_UPDATE)

    async def resume_batch(self, batch_id: str) -> None:
        """Goes on with a paused batch. Raises as `pause_batch`."""
        await self._update(batch_id, UNPAUSE_UPDATE)

    async def set_window(self, batch_id: str, at_once: int) -> None:
        """Has so many documents in flight from now on. Raises as `pause_batch`."""
        try:
            change = WindowChange(at_once=at_once)
        except ValidationError:
            raise InvalidRequest(f"the window is 1 to {MOST_AT_ONCE} documents") from None
        await self._update(batch_id, SET_WINDOW_UPDATE, change)

    async def cancel_batch(self, batch_id: str) -> bool:
        """Asks the batch and all its documents to stop; False when it had ended already. Raises `RunNotFound`."""
        return await self.is_running(batch_id) and await self.cancel(batch_id)

    async def _update(self, batch_id: str, name: str, *change: Any) -> None:
        if not await self.is_running(batch_id):
            raise InvalidRequest(f"batch {batch_id} has ended; see `engross batch status {batch_id}`")
        await self._check_served(batch_id)
        with translated(self.endpoints.temporal):
            try:
                await self._temporal.get_workflow_handle(batch_id).execute_update(
                    name, *change, rpc_timeout=RPC_TIMEOUT
                )
            except WorkflowUpdateFailedError as refused:
                why = getattr(refused.cause, "message", "it cannot be done now")
                raise InvalidRequest(f"batch {batch_id}: {why}") from None
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                raise no_answer(batch_id) from None

    # --- starting ---------------------------------------------------------------------------------------------------

    async def _start_batch(
        self, loaded: LoadedJob, request: BatchRequest, manifest: Manifest, nonce: str, reuse: WorkflowIDReusePolicy
    ) -> SubmittedBatch:
        source = DocumentSource(uri=f"blob:{manifest.blob.sha256}", name="manifest")
        request = request.model_copy(update={"manifest": source})
        batch_id = self._batch_id(loaded, request.tenant, manifest, nonce)
        attributes = [SearchAttributePair(ends.JOB, request.job), SearchAttributePair(ends.TENANT, request.tenant)]
        joined = False
        try:
            with translated(self.endpoints.temporal):
                await self._temporal.start_workflow(
                    BATCH,
                    request,
                    id=batch_id,
                    task_queue=WORKFLOWS_QUEUE,
                    id_reuse_policy=reuse,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    search_attributes=TypedSearchAttributes(attributes),
                    static_summary=f"{manifest.rows} documents: {request.job} for {request.tenant}",
                    execution_timeout=_LONGEST_BATCH,
                    priority=Priority(fairness_key=request.tenant),
                    rpc_timeout=RPC_TIMEOUT,
                )
        except WorkflowAlreadyStartedError:
            joined = True
        return SubmittedBatch(
            batch_id=batch_id,
            job=request.job,
            tenant=request.tenant,
            documents=manifest.rows,
            unread=manifest.unread,
            joined=joined,
        )

    def _batch_id(self, loaded: LoadedJob, tenant: str, manifest: Manifest, nonce: str) -> str:
        route = map(str, loaded.models(self.settings.routes))
        parts = (tenant, loaded.name, manifest.blob.sha256, ":".join([loaded.version(), *route]), nonce)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return f"{BATCH}-{loaded.name}-{tenant}-{digest[:_ID_DIGITS]}"


def _request(
    job: str,
    tenant: str,
    *,
    cache: bool = True,
    at_once: int = DEFAULT_AT_ONCE,
    group: int = DEFAULT_GROUP,
    submitter: str = "",
) -> BatchRequest:
    fields = {"job": job, "tenant": tenant, "cache": cache, "at_once": at_once, "group": group, "submitter": submitter}
    request = BatchRequest.model_validate(fields)
    if request.unusable:
        raise InvalidRequest(f"this batch cannot be run: {request.unusable}")
    return request
