"""The console's process: opens the services, listens, and stops when it is told to, without cutting anybody off."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

from engross.errors import ConfigurationError, PortTaken
from engross.settings import Settings
from starters.console.addresses import site_of
from starters.console.app import create_app
from starters.console.events import Changes
from starters.console.services import open_services

_GRACE_SECONDS: Final = 10
_BACKLOG: Final = 512


class Server(uvicorn.Server):
    """uvicorn that ends open streams when it stops."""

    def __init__(self, config: uvicorn.Config, changes: Changes) -> None:
        super().__init__(config)
        self._changes = changes

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It waits for every answer to end, and a stream has no end of its own.
        self._changes.close()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Asks it to stop. Safe to repeat."""
        self.should_exit = True


def server_of(app: FastAPI, settings: Settings) -> Server:
    """A server for the console `app`, to be given its socket."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # Only a proxy is believed when it says who the client is: one on this machine, or in FORWARDED_ALLOW_IPS.
        proxy_headers=settings.console_url is not None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws="none",
    )
    return Server(config, app.state.console.changes)


async def serve(settings: Settings, listening: Callable[[str, bool], None]) -> None:
    """Serves until SIGTERM or SIGINT. `listening` is told the address, and whether nobody can sign in yet.

    Raises `ConfigurationError`, `PortTaken` or `ServiceUnavailable`, each with the fix.
    """
    site = site_of(settings)
    with _listen(settings) as listener:
        async with open_services(settings) as services:
            server = server_of(create_app(services), settings)
            loop = asyncio.get_running_loop()
            # uvicorn listens as well while it serves, and then sends a signal again, which would kill this process.
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            listening(site.origin, await services.access.is_empty())
            await server.serve([listener])


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.console_host, settings.console_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror:
        raise ConfigurationError(f"ENGROSS_CONSOLE_HOST {host!r} is no address of this machine") from None
    except OSError as error:
        raise PortTaken(
            f"the console can't listen on {host}, port {port} ({error.strerror}); ENGROSS_CONSOLE_PORT moves it"
        ) from None
