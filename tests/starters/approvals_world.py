"""Approvals as they are: the workflow on a real server, its activities, and the database that these write to."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.access.store import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.cases import Cases
from activities.approvals.checking import Checking
from activities.approvals.notes import Noting
from activities.approvals.rows import ApprovalRow, ApprovalRows
from activities.storage import BlobStore
from activities.storage.database import Database
from engross.catalog import Catalog, load_catalog
from engross.contracts import Approval, ApprovalRequest, Noted, Notice, Risk
from engross.names import APPROVAL, DOCUMENTS_QUEUE, WORKFLOWS_QUEUE
from engross.people import Person, Role
from engross.settings import Settings
from starters.approvals import Approvals
from workers.redis_access import installation_secret
from workflows.approval import Approval as ApprovalWorkflow
from workflows.approval import Tell

INVOICE = {
    "issuer": "ACME Ltd",
    "invoice_number": "A-1",
    "date": "2026-03-01",
    "date_due": None,
    "currency": "EUR",
    "amount": 119.0,
    "amount_untaxed": 100.0,
    "amount_tax": 19.0,
}
TENANT = "acme"
PEOPLE = {
    "ann": {TENANT: [Role.APPROVER]},
    "ben": {TENANT: [Role.APPROVER]},
    "sue": {TENANT: [Role.SENIOR]},
    "vera": {TENANT: [Role.VIEWER]},
    "olga": {TENANT: [Role.OPERATOR]},
    "eve": {"other": [Role.APPROVER]},
}


@activity.defn(name="send_notice")
async def tell_nobody(notice: Notice) -> Noted:
    return Noted()


@dataclass(frozen=True)
class World:
    """What tests ask and change."""

    server: WorkflowEnvironment
    settings: Settings
    rows: ApprovalRows
    access: AccessStore
    audit: AuditLog
    blobs: BlobStore
    catalog: Catalog
    secret: bytes

    @property
    def address(self) -> str:
        return self.server.client.service_client.config.target_host

    def approvals(self, *, seconds: float = 60.0, rows: Any = None) -> Approvals:
        return Approvals(
            temporal=self.server.client,
            address=self.address,
            rows=rows or self.rows,
            blobs=self.blobs,
            catalog=self.catalog,
            secret=self.secret,
            history=self.audit,
            seconds=seconds,
        )

    async def person(self, name: str) -> Person:
        person = await self.access.person(name)
        assert person is not None
        return person

    async def json_blob(self, value: Any, tenant: str = TENANT) -> Any:
        return await self.blobs.put(tenant, json.dumps(value).encode(), "application/json")

    async def request(self, *, answer: Any = INVOICE, risk: Risk = Risk.MEDIUM, **more: Any) -> ApprovalRequest:
        fields: dict[str, Any] = {
            "job": "invoice",
            "tenant": TENANT,
            "step": "extract",
            "submitter": "sam",
            "document_name": "a.pdf",
            "policy": Approval(bulk=True),
            "reasons": ("over the limit",),
        } | more
        blob = None if answer is None else await self.json_blob(answer, fields["tenant"])
        return ApprovalRequest(answer=blob, risk=risk, **fields)

    async def start(self, *, queue: str = WORKFLOWS_QUEUE, **more: Any) -> ApprovalRow:
        """An approval that waits; its row."""
        request = await self.request(**{"run_id": f"r{secrets.token_hex(8)}"} | more)
        approval_id = f"{request.run_id}-approval"
        await self.server.client.start_workflow(APPROVAL, request, id=approval_id, task_queue=queue)
        return await self.row(approval_id)

    async def row(self, approval_id: str) -> ApprovalRow:
        async with asyncio.timeout(60):
            while (row := await self.rows.get(approval_id)) is None:  # noqa: ASYNC110  # another process: there is no event to wait for
                await asyncio.sleep(0.02)
        return row


@asynccontextmanager
async def opened_world(server: WorkflowEnvironment, home: Path, workflows: Sequence[type] = ()) -> AsyncIterator[World]:
    """The stores of an empty home, with people in it; and workers, for `workflows` as well."""
    nothing: dict[str, Any] = dict.fromkeys(("results", "blobs", "secret"))
    settings = Settings(_env_file=None, home=home, jobs_path=(), **nothing)  # type: ignore[call-arg]  # pydantic-settings' own keyword
    database = Database.open(settings.results_url)
    secret = installation_secret(settings)
    world = World(
        server=server,
        settings=settings,
        rows=ApprovalRows(database),
        access=AccessStore(database),
        audit=AuditLog(database, secret),
        blobs=BlobStore.open(settings.blobs_url),
        catalog=load_catalog(),
        secret=secret,
    )
    cases = Cases(database)
    try:
        for store in (world.rows, world.access, world.audit, cases):
            await store.start()
        for name, tenants in PEOPLE.items():
            await world.access.add(name)
            for tenant, roles in tenants.items():
                for role in roles:
                    await world.access.grant(name, tenant, role)
        noting = Noting(database=database, rows=world.rows, audit=world.audit, cases=cases)
        checking = Checking(people=world.access, blobs=world.blobs, catalog=world.catalog, secret=secret)
        async with AsyncExitStack() as workers:
            for queue in (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE):
                worker = Worker(
                    server.client,
                    task_queue=queue,
                    workflows=[ApprovalWorkflow, Tell, *workflows],
                    activities=[noting.note_approval, checking.check_act, tell_nobody],
                    workflow_runner=UnsandboxedWorkflowRunner(),
                )
                await workers.enter_async_context(worker)
            yield world
    finally:
        await database.close()
