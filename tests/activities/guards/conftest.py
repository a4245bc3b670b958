"""The shared Valkey, empty and running, and a proxy in front of it that can hold its answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import redis.asyncio

from tests.valkey import HOST, Valkey, make_client


@pytest.fixture
async def redis_client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of an empty, running server, whatever the test before did to it."""
    valkey.start()
    client = make_client(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


class Proxy:
    """Stands between a client and Valkey: passes requests on at once, and holds answers while `hold()` is in force."""

    def __init__(self) -> None:
        self.holding = asyncio.Event()  # an answer is being held
        self._open = asyncio.Event()
        self._open.set()
        self.connections = 0
        self.url = ""

    def hold(self) -> None:
        self.holding.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.connections += 1
        upstream_reader, upstream_writer = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(self._pass(reader, upstream_writer), self._answer(upstream_reader, writer))
        finally:
            upstream_writer.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self._open.is_set():
                    self.holding.set()
                await self._open.wait()
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(valkey: Valkey, redis_client: redis.asyncio.Redis) -> AsyncIterator[Proxy]:
    """A `Proxy` in front of the running, empty server."""
    del redis_client  # needed for its effect only
    made = Proxy()
    server = await asyncio.start_server(lambda r, w: made.serve(r, w, valkey.port), HOST, 0)
    made.url = f"redis://{HOST}:{server.sockets[0].getsockname()[1]}/0"
    yield made
    made.release()
    server.close()
