"""The activities of batches: the manifest is read once, then documents are read and outcomes stored in groups."""

import asyncio
from typing import Final, Protocol

from temporalio import activity

from activities.batches.listing import read_rows, write_listing
from activities.batches.manifest import read_manifest
from activities.ports import Blobs, Results, RunReport
from activities.sources import Sources
from activities.store import report_on
from engross.catalog import Catalog
from engross.contracts import (
    BatchPlan,
    BatchRequest,
    BatchRow,
    DocumentSource,
    ErrorInfo,
    GroupRowsRequest,
    Outcome,
    Plan,
    PreparedGroup,
    PreparedRow,
    RowOutcome,
    Stored,
    StoreGroupRequest,
    StoreRequest,
    TextRef,
)
from engross.errors import (
    DocumentError,
    EmptyBatch,
    EmptyDocument,
    EngrossError,
    ExtractionCrashed,
    InvalidRequest,
)
from engross.job import LoadedJob
from engross.names import workflow_id

# Documents of a group that are in memory at a time.
_AT_ONCE: Final = 8


class Preparing(Protocol):
    """What batches share with single runs; see `activities.prepare.Preparation`."""

    async def plan(self, job: LoadedJob, tenant: str) -> Plan: ...

    async def text(self, document: DocumentSource, tenant: str, data: bytes) -> TextRef: ...


class Batches:
    """Many documents of one job. What is wrong with one of them is its own row's error."""

    def __init__(
        self, *, catalog: Catalog, blobs: Blobs, sources: Sources, preparation: Preparing, results: Results
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._sources = sources
        self._preparation = preparation
        self._results = results

    @activity.defn
    async def plan_batch(self, request: BatchRequest) -> BatchPlan:
        """Freezes the plan and lists the rows.

        Raises `UnknownJob`, `JobBroken`, `EmptyBatch`, or the `DocumentError` of a manifest that cannot be read.
        """
        job = self._catalog.get(request.job)
        _, data = await self._sources.read(request.manifest, request.tenant)
        rows = await asyncio.to_thread(read_manifest, data)  # a second and more for 100,000 rows
        if not rows:
            raise EmptyBatch("the manifest names no document; write one JSON object a line")
        plan = await self._preparation.plan(job, request.tenant)
        listing = await write_listing(self._blobs, request.tenant, rows)
        return BatchPlan(plan=plan, listing=listing, count=len(rows))

    # --- reading ----------------------------------------------------------------------------------------------------

    @activity.defn
    async def prepare_group(self, request: GroupRowsRequest) -> PreparedGroup:
        """Takes in the documents of some rows. Raises `ServiceUnavailable` only."""
        rows = await read_rows(self._blobs, request.listing, request.first, request.last)
        free = asyncio.Semaphore(_AT_ONCE)

        async def read(row: BatchRow) -> PreparedRow:
            async with free:
                return await self._row(request, row)

        try:
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(read(row)) for row in rows]
        except ExceptionGroup as failures:
            # One reason is enough: when a store is gone, every row fails alike.
            raise failures.exceptions[0] from None
        return PreparedGroup(rows=tuple(task.result() for task in reading))

    async def _row(self, request: GroupRowsRequest, row: BatchRow) -> PreparedRow:
        prepared = PreparedRow(row=row, run_id=_run_id(request, row, None), error=row.error)
        if row.error is not None or row.duplicate_of is not None:
            return prepared
        try:
            document, data = await self._sources.read(row.document, request.tenant)
            prepared = PreparedRow(row=row, run_id=_run_id(request, row, document.sha256), document=document)
            if not data:
                raise EmptyDocument("the document has no bytes")
            if not request.reads:
                return prepared
            text = await self._preparation.text(row.document, request.tenant, data)
        except ExtractionCrashed:
            return prepared  # perhaps the machine's fault: `prepare` tries it again, on its own
        except (DocumentError, InvalidRequest) as error:
            return prepared.model_copy(update={"error": _info(error)})
        return prepared.model_copy(update={"text": text})

    # --- storing ----------------------------------------------------------------------------------------------------

    @activity.defn
    async def store_group(self, request: StoreGroupRequest) -> Stored:
        """Stores how rows ended, with what there is of their runs, all at once."""
        read = await asyncio.gather(*map(self._report, request.rows))
        outcomes = tuple(outcome for outcome, _ in read)
        reports = [report for _, report in read if report is not None]
        await self._results.put_group(request.model_copy(update={"rows": outcomes}), reports)
        return Stored()

    async def _report(self, outcome: RowOutcome) -> tuple[RowOutcome, RunReport | None]:
        if outcome.run is None:
            return outcome, None
        try:
            return outcome, await report_on(self._blobs, outcome.run)
        except DocumentError as error:
            # An answer that the blob store lost must not keep those of the others from being stored.
            failed = _info(error)
            lost = _without_answer(outcome.run, failed)
            update = {"outcome": Outcome.FAILED.value, "error": failed, "run": lost}
            return outcome.model_copy(update=update), RunReport(lost)


def _run_id(request: GroupRowsRequest, row: BatchRow, sha256: str | None) -> str:
    """That of a single run over the same document; without a document, one that no other row has."""
    return workflow_id(
        job=request.job,
        tenant=request.tenant,
        document_sha256=sha256 or "",
        version=f"{request.job_version}:{request.route}",
        nonce="" if sha256 else f"{request.batch_id}:{row.row}",
    )


def _info(error: EngrossError) -> ErrorInfo:
    return ErrorInfo(type=error.type, message=str(error))


def _without_answer(run: StoreRequest, error: ErrorInfo) -> StoreRequest:
    result = run.result.model_copy(update={"outcome": Outcome.FAILED, "answer": None, "error": error})
    return run.model_copy(update={"result": result, "ledger": (), "ledger_parts": ()})
