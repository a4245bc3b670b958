"""What a worker answers to those who watch it: `/live`, `/ready`, `/health`, `/metrics`."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest

from engross.errors import ConfigurationError, EngrossError

Check = Callable[[], Awaitable[object]]
_CHECK_SECONDS: Final = 3.0
_CORE_SECONDS: Final = 2.0
_OK: Final = "ok"
# Nothing else from there: a line that is no metric would cost the whole page.
_CORE_LINE: Final = re.compile(rb"^(?:# (?:HELP|TYPE) )?temporal_.*\n", re.MULTILINE)
_log = structlog.get_logger(__name__)


async def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class About:
    """What the page tells besides its checks.

    `circuits` gives the state of each provider's circuit, `pollers` how many workers poll each queue; `core_metrics` is
    the address of the page of Temporal's core, empty where there is none. While `draining` is set the worker is not
    ready, and alive.
    """

    build: Mapping[str, str] = field(default_factory=dict)
    circuits: Callable[[], Awaitable[Mapping[str, str]]] = _nothing
    pollers: Callable[[], Awaitable[Mapping[str, int]]] = _nothing
    core_metrics: str = ""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Result:
    """What came of a check: "ok" or what is wrong, and the time it took; `told` is what it gave."""

    said: str
    milliseconds: int
    told: Any = None


@asynccontextmanager
async def health_server(
    host: str, port: int, checks: Mapping[str, Check], about: About | None = None
) -> AsyncIterator[None]:
    """Serves while the body runs. `/ready` is 200 when every check returns in time, else 503 with what is wrong."""
    # The time at which each counter began: twice as many series, of which nobody makes use.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library says no types there
    pages = _Pages(checks, about or About())
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CORE_SECONDS)) as session:
        pages.session = session
        app = web.Application()
        app.add_routes([web.get(f"/{page}", getattr(pages, page)) for page in ("live", "ready", "health", "metrics")])
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


class _Pages:
    session: aiohttp.ClientSession

    def __init__(self, checks: Mapping[str, Check], about: About) -> None:
        self._checks = checks
        self._about = about
        self._core_failed = False

    async def live(self, _request: web.Request) -> web.Response:
        """The event loop answers."""
        return web.json_response({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        """Whether work can be done here, and taken."""
        results = await _outcomes(self._checks)
        draining = self._about.draining.is_set()
        good = not draining and all(result.said == _OK for result in results.values())
        told = {"ready": good, "checks": {name: result.said for name, result in results.items()}}
        if draining:
            told["draining"] = True
        return web.json_response(told, status=200 if good else 503)

    async def health(self, _request: web.Request) -> web.Response:
        """All that is known, for people. Always 200: what decides about traffic and restarts are the other pages."""
        about = self._about
        results, more = await asyncio.gather(
            _outcomes(self._checks), _outcomes({"circuits": about.circuits, "pollers": about.pollers})
        )
        circuits, pollers = more["circuits"].told or {}, more["pollers"].told or {}
        told = {
            "state": _state(results, more, circuits, draining=about.draining.is_set()),
            "checks": {name: _shown(result) for name, result in results.items()},
            "circuits": circuits,
            "pollers": pollers,
            "build": dict(about.build),
            "uptime_seconds": round(time.monotonic() - about.started),
            "draining": about.draining.is_set(),
        }
        return web.json_response(told)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Ours, and those of Temporal's core."""
        page = generate_latest() + await self._core_page()
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _core_page(self) -> bytes:
        """Empty when it can't be had: then ours are still there. The log hears of it once."""
        if not self._about.core_metrics:
            return b""
        try:
            async with self.session.get(self._about.core_metrics, raise_for_status=True) as response:
                page = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            if not self._core_failed:
                _log.warning("the metrics of Temporal's core can't be read", error=type(error).__name__)
            self._core_failed = True
            return b""
        self._core_failed = False
        return b"".join(_CORE_LINE.findall(page))


def _state(results: Mapping[str, _Result], more: Mapping[str, _Result], circuits: Any, *, draining: bool) -> str:
    """`down`: no work can be done. `degraded`: it can, but not all of it, or not for long."""
    if any(result.said != _OK for result in results.values()):
        return "down"
    is_open = any(state != "closed" for state in circuits.values())
    return "degraded" if draining or is_open or any(each.said != _OK for each in more.values()) else _OK


def _shown(result: _Result) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"state": "ok", "latency_ms": result.milliseconds}
    return shown if result.said == _OK else shown | {"state": "down", "error": result.said}


async def _outcomes(checks: Mapping[str, Check]) -> dict[str, _Result]:
    checks = dict(checks)  # others come while these are asked, when the worker gets its connections
    return dict(zip(checks, await asyncio.gather(*map(_outcome, checks.values())), strict=True))


async def _outcome(check: Check) -> _Result:
    started, told = time.monotonic(), None
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            told = await check()
    except EngrossError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a dependency, the answer is "not ready"
        said = type(error).__name__
    else:
        said = _OK
    return _Result(said, round((time.monotonic() - started) * 1000), told)
