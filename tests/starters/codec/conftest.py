"""A codec server on a real socket, over a real database, with people, keys and sealed payloads."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads

from activities.access import AccessStore
from activities.encryption.codec import SealingCodec
from activities.encryption.keys import TenantKeys
from activities.storage.database import Database
from engross.people import EVERY_TENANT, Role
from engross.settings import Settings
from starters.codec.app import create_app
from starters.codec.serving import uvicorn_of
from starters.codec.state import CodecServer
from starters.console.limits import Buckets
from starters.console.oidc import Issuer

ORIGIN = "https://temporal.example.com"


@dataclass
class Answer:
    """What came back; `texts` are the payloads' data, in order."""

    status: int
    headers: Any
    body: Any

    @property
    def texts(self) -> list[str]:
        return [payload.data.decode() for payload in ParseDict(self.body, Payloads()).payloads]


@dataclass
class Served:
    """`keys` are people's API keys by their names."""

    address: str
    codec: SealingCodec
    tenants: TenantKeys
    access: AccessStore
    keys: dict[str, str]
    _http: aiohttp.ClientSession

    async def sealed(self, tenant: str, text: str) -> Payload:
        """`text` as JSON beside the tenant's name, under its key."""
        clear = Payload(metadata={"encoding": b"json/plain"}, data=f'{{"tenant":"{tenant}","text":"{text}"}}'.encode())
        [sealed] = await self.codec.encode([clear])
        return sealed

    async def ask(self, path: str, payloads: Sequence[Payload], *, by: str = "", **headers: str) -> Answer:
        """Posts `payloads`, with the key of `by`."""
        known = {"Authorization": f"Bearer {self.keys[by]}"} if by else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, json=MessageToDict(Payloads(payloads=payloads)), headers=known | named)

    async def send(self, method: str, path: str, **more: Any) -> Answer:
        async with self._http.request(method, self.address + path, **more) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            return Answer(response.status, response.headers, await (response.json() if is_json else response.text()))


@asynccontextmanager
async def serving(
    folder: Path, *, per_minute: float = 1000, origin: str = ORIGIN, has_people: bool = False, **variables: Any
) -> AsyncIterator[Served]:
    """A server with ada, who may do everything, bo, who may see the tenant `acme`, and nil, who has no role.

    `has_people`: the database in `folder` has people already, and nobody is added.
    """
    settings = Settings(_env_file=None, home=folder, **variables)  # type: ignore[call-arg]
    async with AsyncExitStack() as stack:
        database = Database.open(settings.results_url)
        stack.push_async_callback(database.close)
        access = AccessStore(database, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        await access.start()
        tenants = TenantKeys({"first": secrets.token_bytes(32)}, settings.results_url)
        codec = SealingCodec(tenants)
        server = CodecServer(
            access=access,
            codec=codec,
            origin=origin,
            users=Buckets(per_minute),
            clients=Buckets(per_minute),
            issuer=Issuer(settings) if settings.oidc_issuer else None,
            is_ready=access.is_empty,
        )
        address = await stack.enter_async_context(_listening(server, settings))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        keys = {} if has_people else await _people(access)
        yield Served(address, codec, tenants, access, keys, http)


@asynccontextmanager
async def _listening(server: CodecServer, settings: Settings) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = uvicorn_of(create_app(server), settings)
        task = asyncio.create_task(running.serve([listener]))
        try:
            while not running.started:
                assert not task.done(), task.result()
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running.should_exit = True
            await task


async def _people(access: AccessStore) -> dict[str, str]:
    for name in ("ada", "bo", "nil"):
        await access.add(name)
    for role in Role:
        await access.grant("ada", EVERY_TENANT, role)
    await access.grant("bo", "acme", Role.VIEWER)
    return {name: await access.make_key(name, "tests") for name in ("ada", "bo", "nil")}


@pytest.fixture
async def served(tmp_path: Path, clean_environment: None) -> AsyncIterator[Served]:
    async with serving(tmp_path) as running:
        yield running
