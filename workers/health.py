"""What a worker answers to those who watch it: `/live`, `/ready`, `/metrics`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engross.errors import ConfigurationError, EngrossError

Check = Callable[[], Awaitable[object]]
_CHECK_SECONDS: Final = 3.0


@asynccontextmanager
async def health_server(host: str, port: int, checks: Mapping[str, Check]) -> AsyncIterator[None]:
    """Serves while the body runs. `/ready` is 200 when every check returns in time, else 503 with what is wrong."""

    async def ready(_request: web.Request) -> web.Response:
        results = dict(zip(checks, await asyncio.gather(*map(_outcome, checks.values())), strict=True))
        good = all(outcome == "ok" for outcome in results.values())
        return web.json_response({"ready": good, "checks": results}, status=200 if good else 503)

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/live", live), web.get("/ready", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            raise ConfigurationError(f"port {port} is taken; ENGROSS_HEALTH_PORT moves the health page") from None
        yield
    finally:
        await runner.cleanup()


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except EngrossError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a dependency, the answer is "not ready"
        return type(error).__name__
    return "ok"
