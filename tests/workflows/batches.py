"""Activities of a batch that answer from rules, and the workers that run them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from engross.contracts import (
    AskRequest,
    BatchPlan,
    BatchRequest,
    BatchRow,
    BlobRef,
    DocumentSource,
    GroupRowsRequest,
    Plan,
    Prepared,
    PreparedGroup,
    PreparedRow,
    RepairRequest,
    Reply,
    RowOutcome,
    RunRequest,
    Stored,
    StoreGroupRequest,
    StoreRequest,
    TextRef,
)
from engross.names import DOCUMENTS_QUEUE, WORKFLOWS_QUEUE, models_queue
from tests.workflows.fakes import TENANT, blob, reply, step
from workflows.batch import Batch
from workflows.batch_group import BatchGroup
from workflows.chain import Chain
from workflows.fan_out import FanOut


def failing(kind: str, *details: Any) -> ApplicationError:
    return ApplicationError("scripted", *details, type=kind, non_retryable=True)


@dataclass
class BatchActivities:
    """`rows` is the manifest; `replies` answers for a document (by its name) instead of a valid reply.

    `gate`, when set, holds every model call until it is released.
    """

    rows: list[BatchRow]
    pattern: str = "chain"
    replies: dict[str, list[Reply | Exception]] = field(default_factory=dict)
    unreadable: dict[str, Exception] = field(default_factory=dict)
    plan_error: Exception | None = None
    group_error: Exception | None = None
    gate: asyncio.Event | None = None
    stores_that_fail: int = 0
    asked: list[AskRequest] = field(default_factory=list)
    stored: list[RowOutcome] = field(default_factory=list)
    stored_alone: list[StoreRequest] = field(default_factory=list)
    stores: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def outcomes(self) -> dict[str, int]:
        """How many rows were stored with which outcome; each row counted once."""
        assert len({row.row for row in self.stored}) == len(self.stored)
        return dict(Counter(str(row.outcome) for row in self.stored))

    def _plan(self, job: str) -> Plan:
        return Plan(job=job, job_version="v1", pattern=self.pattern, steps=(step(),), stores_here=True)

    @activity.defn
    async def plan_batch(self, request: BatchRequest) -> BatchPlan:
        if self.plan_error:
            raise self.plan_error
        return BatchPlan(plan=self._plan(request.job), listing=blob("listing"), count=len(self.rows))

    @activity.defn
    async def prepare_group(self, request: GroupRowsRequest) -> PreparedGroup:
        if self.group_error:
            raise self.group_error
        return PreparedGroup(rows=tuple(map(self._prepared, self.rows[request.first - 1 : request.last])))

    def _prepared(self, row: BatchRow) -> PreparedRow:
        name = row.document.name
        if row.error or row.duplicate_of or name in self.unreadable:
            return PreparedRow(row=row, run_id=f"run-{row.row}")
        return PreparedRow(row=row, run_id=f"run-{row.row}", document=_blob(name), text=_text(name))

    @activity.defn
    async def prepare(self, request: RunRequest) -> Prepared:
        name = request.document.name
        if name in self.unreadable:
            raise self.unreadable[name]
        return Prepared(plan=self._plan(request.job), document=_blob(name), text=_text(name))

    @activity.defn
    async def ask_model(self, request: AskRequest) -> Reply:
        self.asked.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.gate:
                await self.gate.wait()
            await asyncio.sleep(0)
            scripted = self.replies.get(request.text.sha256)
            outcome = scripted.pop(0) if scripted else reply()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            self.in_flight -= 1

    @activity.defn
    async def repair_answer(self, request: RepairRequest) -> Reply:
        return request.reply.model_copy(update={"calls": 0, "asked": None})

    @activity.defn
    async def store_group(self, request: StoreGroupRequest) -> Stored:
        self.stores += 1
        if self.stores <= self.stores_that_fail:
            raise failing("ServiceUnavailable")
        self.stored += request.rows
        return Stored()

    @activity.defn
    async def store_answer(self, request: StoreRequest) -> Stored:
        self.stored_alone.append(request)
        return Stored()


def _blob(name: str) -> BlobRef:
    return BlobRef(tenant=TENANT, sha256=f"document-{name}", size=1)


def _text(name: str) -> TextRef:
    return TextRef(tenant=TENANT, sha256=name, size=1)


def manifest(count: int) -> list[BatchRow]:
    """Rows for so many documents, called `1`, `2` and so on."""
    return [
        BatchRow(row=number, document=DocumentSource(uri=f"blob:{number}", name=str(number)))
        for number in range(1, count + 1)
    ]


def workers(client: Client, fakes: BatchActivities, **options: Any) -> AsyncExitStack:
    """One worker a queue."""

    class Running(AsyncExitStack):
        async def __aenter__(self) -> "Running":
            here: list[Callable[..., Any]] = [fakes.store_group, fakes.store_answer]
            there: list[Callable[..., Any]] = [fakes.plan_batch, fakes.prepare_group, fakes.prepare]
            there += [fakes.repair_answer, fakes.store_answer]
            patterns = [Batch, BatchGroup, Chain, FanOut]
            await self.enter_async_context(
                Worker(client, task_queue=WORKFLOWS_QUEUE, workflows=patterns, activities=here, **options)
            )
            await self.enter_async_context(Worker(client, task_queue=DOCUMENTS_QUEUE, activities=there))
            await self.enter_async_context(
                Worker(client, task_queue=models_queue("openai"), activities=[fakes.ask_model])
            )
            return self

    return Running()
