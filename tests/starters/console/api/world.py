"""The API over approvals and runs as they are: a console on a real socket, in a thread with a Temporal server."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import aiohttp
from fastapi import FastAPI

from activities.storage import ResultStore
from activities.storage.database import Database
from engross.endpoints import Endpoints
from engross.people import Role
from engross.settings import Settings
from starters.batches import BatchClient
from starters.console.api.once import Requests
from starters.console.app import create_app
from starters.console.documents.documents import Documents
from starters.console.identity import COOKIE, CSRF_HEADER
from starters.console.services import Services
from starters.console.serving import server_of
from tests.starters.approvals_world import TENANT, World, opened_world
from tests.starters.conftest import FakeBatch, FakeChain, start_server

_T = TypeVar("_T")
V1 = "/api/v1"
NOTHING: Mapping[str, str] = MappingProxyType({})
MOST_MEGABYTES = 2
START_SECONDS = 90


@dataclass
class Answer:
    """What came back; `body` is the parsed JSON, None when there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Api:
    """The running API, the world behind it, and keys of its people by name."""

    address: str
    app: FastAPI
    world: World
    client: BatchClient
    loop: asyncio.AbstractEventLoop
    keys: dict[str, str] = field(default_factory=dict, repr=False)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Does something in the world's own thread; for callers without a loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def there(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Does something in the world's own thread; for callers in another loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def ask(
        self, method: str, path: str, by: str = "ann", headers: Mapping[str, str] = NOTHING, **more: Any
    ) -> Answer:
        """One request with the key of somebody; of nobody for ""."""
        own = {"Authorization": f"Bearer {self.keys[by]}"} if by else {}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(method, self.address + path, headers={**own, **headers}, **more) as answer,
        ):
            transport = answer.connection.transport if answer.connection else None
            is_json = "json" in answer.headers.get("Content-Type", "")
            body = await answer.json(content_type=None) if is_json else None
            if answer.status == 413 and transport:
                # Refused while it was sent: what is left to send would keep the connection half open.
                transport.abort()
                await asyncio.sleep(0)
            return Answer(answer.status, answer.headers, body)

    async def session_of(self, name: str) -> dict[str, str]:
        """The headers of a browser in which that person has signed in, on a page of ours."""
        opened = await self.there(
            self.world.access.open_session(name, idle=timedelta(hours=1), longest=timedelta(hours=1))
        )
        return {"Cookie": f"{COOKIE}={opened.token}", CSRF_HEADER: opened.csrf, "Sec-Fetch-Site": "same-origin"}


@contextmanager
def served_api(home: Path, **settings: Any) -> Iterator[Api]:
    """The API in a thread of its own, until the end of the block."""
    begun, stop = threading.Event(), asyncio.Event()
    failed: list[BaseException] = []
    served: list[Api] = []

    async def serve() -> None:
        async with _served(home, settings) as api:
            served.append(api)
            begun.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - the other thread raises it
            failed.append(error)
            begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert begun.wait(START_SECONDS)
        if failed:
            raise failed[0]
        yield served[0]
    finally:
        if served:
            served[0].loop.call_soon_threadsafe(stop.set)
        thread.join(START_SECONDS)
        if failed:
            raise failed[0]


@asynccontextmanager
async def _served(home: Path, more: dict[str, Any]) -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(start_server())
        world = await stack.enter_async_context(opened_world(server, home, (FakeChain, FakeBatch)))
        for tenant, role in ((TENANT, Role.SUBMITTER), ("default", Role.SUBMITTER)):
            await world.access.grant("vera", tenant, role)
        for name in ("nobody", "root"):  # without any role, and with every one
            await world.access.add(name)
        for role in Role:
            await world.access.grant("root", "*", role)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        settings = world.settings.model_copy(
            update={
                "console_port": listener.getsockname()[1],
                "max_document_mb": MOST_MEGABYTES,
                "user_requests_per_minute": 1_000_000,
                **more,
            }
        )
        database = Database.open(settings.results_url)
        stack.push_async_callback(database.close)
        services, client = await _services(world, settings, database)
        app = create_app(services)
        http = server_of(app, settings)
        serving = asyncio.create_task(http.serve([listener]))
        try:
            while not http.started:
                assert not serving.done(), serving.result()
                await asyncio.sleep(0.01)
            api = Api(f"http://127.0.0.1:{settings.console_port}", app, world, client, asyncio.get_running_loop())
            for person in await world.access.people():
                api.keys[person.name] = await world.access.make_key(person.name, "tests")
            yield api
        finally:
            http.stop()
            await serving


async def _services(world: World, settings: Settings, database: Database) -> tuple[Services, BatchClient]:
    results, requests = ResultStore(database), Requests(database)
    await results.start()
    await requests.start()
    endpoints = Endpoints(temporal=world.address, redis="redis://127.0.0.1:1")
    client = BatchClient(
        settings=settings, endpoints=endpoints, connection=world.server.client, blobs=world.blobs, results=results
    )
    services = Services(
        settings=settings,
        endpoints=endpoints,
        access=world.access,
        rows=world.rows,
        audit=world.audit,
        approvals=world.approvals(),
        client=client,
        catalog=world.catalog,
        blobs=world.blobs,
        results=results,
        requests=requests,
        documents=cast("Documents", None),
        temporal=world.server.client,
        secret=world.secret,
    )
    return services, client


async def until(condition: Callable[[], Coroutine[Any, Any, _T | None]]) -> _T:
    """What `condition` gives once it gives something; fails after 60 seconds."""
    async with asyncio.timeout(60):
        while (found := await condition()) is None:  # noqa: ASYNC110 - another process: there is no event to wait for
            await asyncio.sleep(0.05)
    return found
