"""The console's pages on a real socket, over the real workflow and stores, for approvers who have signed in."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from activities.approvals.rows import ApprovalRow
from activities.documents.pool import ParserPool
from activities.storage import ResultStore
from activities.storage.database import Database
from engross.contracts import TextRef
from engross.endpoints import Endpoints
from starters.batches import BatchClient
from starters.console.api.once import Requests
from starters.console.app import create_app
from starters.console.documents.documents import Documents
from starters.console.identity import COOKIE
from starters.console.pages import approval, inbox
from starters.console.sections import Section
from starters.console.services import Services
from starters.console.serving import server_of
from tests.starters.approvals_world import TENANT, World, opened_world
from tests.starters.conftest import start_server
from tests.starters.console.forms.pages import posted
from tests.starters.console.visitor import Answer, Browser

SAMPLES = Path(__file__).resolve().parents[4] / "jobs" / "invoice" / "samples"
WEB_UI = "http://127.0.0.1:8233"


@dataclass
class Desk:
    """A console that serves, and the world behind it."""

    address: str
    world: World
    parsers: ParserPool
    _browsers: AsyncExitStack

    async def of(self, name: str) -> Browser:
        """A browser in which `name` has signed in."""
        session = await self.world.access.open_session(name, idle=timedelta(hours=1), longest=timedelta(hours=2))
        http = await self._browsers.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        return Browser(self.address, http, {COOKIE: session.token}, session.csrf)

    async def start(self, **more: Any) -> ApprovalRow:
        return await self.world.start(**more)

    async def with_document(self, data: bytes, name: str, **more: Any) -> ApprovalRow:
        """An approval over a document that is really read."""
        text = await self.parsers.extract(data, name)
        document = await self.world.blobs.put(TENANT, data)
        stored = await self.world.blobs.put(TENANT, text.model_dump_json().encode())
        ref = TextRef(**stored.model_dump(exclude={"media_type"}), pages=len(text.page_starts))
        return await self.world.start(document=document, text=ref, document_name=name, **more)


@asynccontextmanager
async def open_desk(home: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(start_server())
        world = await stack.enter_async_context(opened_world(server, home))
        parsers = await stack.enter_async_context(ParserPool(size=1, seconds=60, memory_mb=512))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        settings = world.settings.model_copy(update={"console_port": port, "user_requests_per_minute": 1_000_000})
        database = Database.open(settings.results_url)
        stack.push_async_callback(database.close)
        endpoints = Endpoints(temporal=world.address, redis="redis://127.0.0.1:1", web_ui=WEB_UI)
        results = ResultStore(database)
        requests = Requests(database)
        await results.start()
        await requests.start()
        services = Services(
            settings=settings,
            endpoints=endpoints,
            access=world.access,
            rows=world.rows,
            audit=world.audit,
            approvals=world.approvals(),
            client=BatchClient(
                settings=settings,
                endpoints=endpoints,
                connection=server.client,
                blobs=world.blobs,
                results=results,
            ),
            catalog=world.catalog,
            blobs=world.blobs,
            results=results,
            requests=requests,
            documents=Documents(blobs=world.blobs, parsers=parsers),
            temporal=server.client,
            secret=world.secret,
        )
        app = create_app(services, (Section(inbox.router), Section(approval.router)))
        http = server_of(app, settings)
        serving = asyncio.create_task(http.serve([listener]))
        while not http.started:
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.01)
        try:
            browsers = await stack.enter_async_context(AsyncExitStack())
            yield Desk(f"http://127.0.0.1:{port}", world, parsers, browsers)
        finally:
            http.stop()
            await serving


def form_in(html: str, action: str) -> list[tuple[str, str]]:
    """What the form with that action posts when nobody touches it."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', html, re.DOTALL)
    assert found, f"no form for {action}"
    return posted(found[0])


def has_form(html: str, action: str) -> bool:
    return f'action="{action}"' in html


async def decide(browser: Browser, approval_id: str, kind: str, **typed: str) -> Answer:
    """As somebody does who opens the page, types, and sends its form."""
    address = f"/approvals/{approval_id}"
    form = form_in((await browser.get(address)).text, f"{address}/{kind}")
    return await send(browser, f"{address}/{kind}", form, **typed)


async def send(browser: Browser, path: str, form: list[tuple[str, str]], **typed: str) -> Answer:
    """Posts `form` with other texts for some fields, which are given by their names with `__` for `.`."""
    new = {name.replace("__", "."): text for name, text in typed.items()}
    known = {name for name, _ in form}
    pairs = [(name, new.get(name, text)) for name, text in form]
    pairs += [(name, text) for name, text in new.items() if name not in known]
    headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
    return await browser.send("POST", path, data=aiohttp.FormData(pairs), headers=headers)
