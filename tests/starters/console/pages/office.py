"""The console's pages on a real socket, over a real Temporal server with stand-in workflows, and real stores."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import aiohttp
from temporalio.testing import WorkflowEnvironment

from activities.access import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.rows import ApprovalRows
from activities.storage import BlobStore, ResultStore
from activities.storage.database import Database
from engross.catalog import load_catalog
from engross.contracts import ErrorInfo, LedgerEntry, Outcome, RunResult, StoreRequest, Usage
from engross.endpoints import Endpoints
from engross.people import EVERY_TENANT, Role
from engross.settings import Settings
from starters.batches import BatchClient
from starters.console.api.once import Requests
from starters.console.app import create_app
from starters.console.identity import COOKIE
from starters.console.services import Services
from starters.console.serving import server_of
from tests.starters.console.visitor import Browser

WEB_UI = "http://127.0.0.1:8233"
PEOPLE = {
    "ada": {EVERY_TENANT: list(Role)},
    "olga": {"acme": [Role.OPERATOR]},
    "sam": {"acme": [Role.SUBMITTER]},
    "vera": {"acme": [Role.VIEWER]},
    "eve": {"other": list(Role)},
    "nobody": {},
}


@dataclass
class Office:
    """A console that serves."""

    address: str
    services: Services
    _browsers: AsyncExitStack

    async def of(self, name: str) -> Browser:
        """A browser in which `name` has signed in."""
        session = await self.services.access.open_session(name, idle=timedelta(hours=1), longest=timedelta(hours=2))
        http = await self._browsers.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        return Browser(self.address, http, {COOKIE: session.token}, session.csrf)

    async def submit(self, name: str, *, tenant: str = "acme", submitter: str = "sam") -> str:
        """Starts a run that does as the document's name says; its id."""
        run = await self.services.client.submit(
            "invoice", b"text", tenant=tenant, name=name, submitter=submitter, again=True
        )
        return run.run_id

    async def store(self, run_id: str, *, answer: bytes | None = None, minutes_ago: float = 0, **more: Any) -> None:
        """What `store_answer` does, for a run that Temporal does not know."""
        fields = {"job": "invoice", "tenant": "acme", "outcome": Outcome.DONE, "cost_usd": Decimal("0.5"), **more}
        document, ledger = fields.pop("document_name", "a.pdf"), fields.pop("ledger", ())
        started = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        result = RunResult(run_id=run_id, model="fake", calls=2, usage=Usage(input_tokens=7), **fields)
        request = StoreRequest(result=result, started_at=started.isoformat(), document_name=document, ledger=ledger)
        await self.services.results.put(request, answer)

    async def audit(self, tenant: str) -> list[tuple[str, str, str, str]]:
        lines = self.services.audit.export(tenant)
        return [(line.actor, line.action, line.subject, line.detail) async for line in lines]


def failed(message: str) -> dict[str, Any]:
    return {"outcome": Outcome.FAILED, "error": ErrorInfo(type="EncryptedDocument", message=message)}


def part(name: str, state: str, **more: Any) -> LedgerEntry:
    return LedgerEntry.model_validate({"name": name, "state": state, **more})


@asynccontextmanager
async def open_office(server: WorkflowEnvironment, home: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        settings = Settings(  # type: ignore[call-arg]  # pydantic-settings' own keyword
            _env_file=None, home=home, jobs_path=(), console_port=port, user_requests_per_minute=1_000_000
        )
        database = Database.open(settings.results_url)
        stack.push_async_callback(database.close)
        services = await _services(settings, database, server)
        http = server_of(create_app(services), settings)
        serving = asyncio.create_task(http.serve([listener]))
        while not http.started:
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.01)
        try:
            browsers = await stack.enter_async_context(AsyncExitStack())
            yield Office(f"http://127.0.0.1:{port}", services, browsers)
        finally:
            http.stop()
            await serving


async def _services(settings: Settings, database: Database, server: WorkflowEnvironment) -> Services:
    secret = b"a secret of this installation"
    temporal = server.client
    endpoints = Endpoints(
        temporal=temporal.service_client.config.target_host, redis="redis://127.0.0.1:1", web_ui=WEB_UI
    )
    blobs, results = BlobStore.open(settings.blobs_url), ResultStore(database)
    access, rows, audit = AccessStore(database), ApprovalRows(database), AuditLog(database, secret)
    requests = Requests(database)
    for store in (access, rows, audit, results, requests):
        await store.start()
    for name, tenants in PEOPLE.items():
        await access.add(name)
        for tenant, roles in tenants.items():
            for role in roles:
                await access.grant(name, tenant, role)
    client = BatchClient(settings=settings, endpoints=endpoints, connection=temporal, blobs=blobs, results=results)
    client.approvals = rows
    nothing = cast("Any", None)
    return Services(
        settings=settings,
        endpoints=endpoints,
        access=access,
        rows=rows,
        audit=audit,
        approvals=nothing,
        client=client,
        catalog=load_catalog(),
        blobs=blobs,
        results=results,
        requests=requests,
        documents=nothing,
        temporal=temporal,
        secret=secret,
    )
