"""The console's process: opens the services, listens, and stops when it is told to, without cutting anybody off."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from engross.settings import Settings
from starters.console.addresses import site_of
from starters.console.app import create_app
from starters.console.events import Changes
from starters.console.listening import config_of, end_when_told, listener_of
from starters.console.services import open_services


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
    return Server(config_of(app, settings), app.state.console.changes)


async def serve(settings: Settings, listening: Callable[[str, bool], None]) -> None:
    """Serves until SIGTERM or SIGINT. `listening` is told the address, and whether nobody can sign in yet.

    Raises `ConfigurationError`, `PortTaken` or `ServiceUnavailable`, each with the fix.
    """
    site = site_of(settings)
    with listener_of(settings, "console") as listener:
        async with open_services(settings) as services:
            server = server_of(create_app(services), settings)
            end_when_told(server)
            listening(site.origin, await services.access.is_empty())
            await server.serve([listener])
