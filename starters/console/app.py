"""The console as an ASGI application."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from typing import Final

from fastapi import Depends, FastAPI

from starters.console import basics, login, login_oidc, problems
from starters.console.addresses import site_of
from starters.console.api.description import describe
from starters.console.browsing import API
from starters.console.events import Changes
from starters.console.gate import AccessLog, Gate
from starters.console.headers import SafeHeaders
from starters.console.identity import caller, signed_in
from starters.console.limits import Buckets
from starters.console.oidc import Issuer
from starters.console.rendering import Pages, StaticFiles
from starters.console.sections import SECTIONS, Section
from starters.console.services import Services
from starters.console.state import Console
from starters.console.tickets import Tickets

OPENAPI: Final = f"{API}openapi.json"
# An office of people can be behind one address; each of them has a limit of their own as well.
_PEOPLE_AT_AN_ADDRESS: Final = 10
_SIGN_INS_PER_MINUTE: Final = 30


def create_app(
    services: Services, sections: Sequence[Section] = SECTIONS, *, clock: Callable[[], float] = time.monotonic
) -> FastAPI:
    """The application, over services that stay open as long as it runs. `clock`, in seconds, is for limits.

    Raises `ConfigurationError` for an address that people could not use safely.
    """
    settings = services.settings
    console = _console(services, clock)
    app = FastAPI(
        title="Engross",
        version=metadata.version("engross"),
        openapi_url=OPENAPI,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=_watching,
    )
    app.state.console = console
    _add_routes(app, sections)
    describe(app)
    problems.install(app)
    # The last is the outermost: every answer has the headers, those of the gate and of the last resort as well.
    bodies = {path: most(settings) for section in sections for path, most in section.bodies.items()}
    app.add_middleware(Gate, bodies=bodies)
    app.add_middleware(problems.LastResort)
    app.add_middleware(AccessLog)
    app.add_middleware(SafeHeaders, is_https=console.site.is_https)
    return app


def _console(services: Services, clock: Callable[[], float]) -> Console:
    settings = services.settings
    return Console(
        services=services,
        site=site_of(settings),
        pages=Pages(StaticFiles()),
        changes=Changes(services.rows),
        users=Buckets(settings.user_requests_per_minute, clock=clock),
        clients=Buckets(settings.user_requests_per_minute * _PEOPLE_AT_AN_ADDRESS, clock=clock),
        sign_ins=Buckets(_SIGN_INS_PER_MINUTE, clock=clock),
        tickets=Tickets(services.secret),
        issuer=Issuer(settings) if settings.oidc_issuer else None,
    )


def _add_routes(app: FastAPI, sections: Sequence[Section]) -> None:
    for module in (login, login_oidc):
        app.include_router(module.router)
    app.include_router(basics.open_router)
    app.include_router(basics.router, dependencies=[Depends(signed_in)])
    for section in sections:
        identified = Depends(caller if section.is_api else signed_in)
        app.include_router(section.router, dependencies=[identified], include_in_schema=section.is_api)


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    changes: Changes = app.state.console.changes
    watch = asyncio.create_task(changes.watch())
    try:
        yield
    finally:
        changes.close()
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
