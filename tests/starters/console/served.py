"""The real console on a real socket, over a real database."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
from argon2 import PasswordHasher
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from activities.access import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.rows import ApprovalRows
from activities.storage import BlobStore, ResultStore
from activities.storage.database import Database
from engross.catalog import Catalog
from engross.endpoints import Endpoints
from engross.people import EVERY_TENANT, Role
from engross.settings import Settings
from starters.approvals import Approvals
from starters.batches import BatchClient
from starters.console.api.once import Requests
from starters.console.app import create_app
from starters.console.documents.documents import Documents
from starters.console.identity import Caller, SignedIn, must_see
from starters.console.sections import Section
from starters.console.services import Services
from starters.console.serving import Server, server_of
from tests.starters.console.visitor import PASSWORD, Browser

UPLOAD_BYTES = 2_000_000


class Clock:
    """The time of the stores and of all limits: it goes on when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def pass_by(self, time: timedelta) -> None:
        self.at += time


class HealthyTemporal:
    """Says that it is there, until it is told otherwise."""

    def __init__(self) -> None:
        self.service_client = self
        self.is_healthy = True

    async def check_health(self) -> bool:
        return self.is_healthy


class Numbered(ApprovalRows):
    """The inbox, with a count of changes that the test moves."""

    number = 0

    async def changes(self) -> int:
        return self.number


@dataclass
class Running:
    """A console that serves, and what a test moves in it."""

    address: str
    app: FastAPI
    services: Services
    clock: Clock
    rows: Numbered
    server: Server
    done: list[str]
    _browsers: AsyncExitStack

    async def browser(self) -> Browser:
        """Another one, which knows nothing yet."""
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return Browser(self.address, await self._browsers.enter_async_context(session))

    async def audit(self) -> list[tuple[str, str, str]]:
        return [(line.action, line.subject, line.detail) async for line in self.services.audit.export(EVERY_TENANT)]


def sections(done: list[str]) -> tuple[Section, ...]:
    """A page and a part of the API, as they plug in."""
    pages, api = APIRouter(), APIRouter(prefix="/api/v1")

    @pages.get("/inbox")
    async def inbox(identity: SignedIn) -> HTMLResponse:
        return HTMLResponse(f'{identity.person.name} <input name="csrf" value="{identity.csrf}">')

    @pages.get("/fails")
    async def fails() -> None:
        raise KeyError("secret of the code")

    @pages.get("/of/{tenant}")
    async def of(tenant: str, identity: SignedIn) -> dict[str, str]:
        must_see(identity.person, tenant)
        return {}

    # Does not ask who it is: the section does.
    @pages.post("/act")
    async def act(request: Request) -> dict[str, str]:
        done.append("act")
        form = await request.form()
        return {"field": str(form.get("field"))}

    @api.get("/me")
    async def me(identity: Caller) -> dict[str, str]:
        return {"name": identity.person.name, "source": identity.source}

    @api.post("/act")
    async def api_act(request: Request) -> dict[str, int]:
        body = await request.body()
        done.append("api")
        return {"bytes": len(body)}

    @api.post("/upload")
    async def upload(request: Request) -> dict[str, int]:
        return {"bytes": sum([len(chunk) async for chunk in request.stream()])}

    return Section(pages), Section(api, is_api=True, bodies={"/api/v1/upload": lambda settings: UPLOAD_BYTES})


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Running]:
    """A console with ada, who may do everything, bo, who may see the tenant `one`, and idle, who is not active."""
    clock, done = Clock(), list[str]()
    database = Database.open(f"sqlite+aiosqlite:///{folder / 'results.db'}")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        chosen = Settings(_env_file=None, home=folder, console_port=port, **settings)  # type: ignore[call-arg]
        services, rows = await _services(chosen, database, clock)
        app = create_app(services, sections(done), clock=clock.seconds)
        server = server_of(app, chosen)
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.01)
        try:
            browsers = await stack.enter_async_context(AsyncExitStack())
            yield Running(f"http://127.0.0.1:{port}", app, services, clock, rows, server, done, browsers)
        finally:
            server.stop()
            await serving


async def _services(settings: Settings, database: Database, clock: Clock) -> tuple[Services, Numbered]:
    secret = b"a secret of this installation"
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    access, rows = AccessStore(database, now=clock, hasher=quick), Numbered(database)
    audit, results = AuditLog(database, secret), ResultStore(database)
    for store in (access, rows, audit, results):
        await store.start()
    for name in ("ada", "bo", "idle"):
        await access.add(name, email=f"{name}@example.com", password=PASSWORD)
    for role in Role:
        await access.grant("ada", EVERY_TENANT, role)
    await access.grant("bo", "one", Role.VIEWER)
    await access.set_active("idle", False)
    services = Services(
        settings=settings,
        endpoints=Endpoints(temporal="127.0.0.1:1", redis="redis://127.0.0.1:1"),
        access=access,
        rows=rows,
        audit=audit,
        approvals=cast("Approvals", None),
        client=cast("BatchClient", None),
        catalog=Catalog(),
        blobs=BlobStore.open(settings.blobs_url),
        results=results,
        requests=Requests(database),
        documents=cast("Documents", None),
        temporal=cast("Any", HealthyTemporal()),
        secret=secret,
    )
    return services, rows


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds; fails after 20 seconds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(0.01)
