"""How a server of ours listens: on an address of this machine, until it is told to stop."""

import asyncio
import signal
import socket
from typing import Final, Literal

import uvicorn
from fastapi import FastAPI

from engross.errors import ConfigurationError, PortTaken
from engross.settings import Settings, variable

_GRACE_SECONDS: Final = 10
_BACKLOG: Final = 512
_SHOWN: Final = {"console": "the console", "codec": "the codec server"}


def listener_of(settings: Settings, server: Literal["console", "codec"]) -> socket.socket:
    """What that server listens on. Raises `ConfigurationError` or `PortTaken`, with the fix."""
    host, port = getattr(settings, f"{server}_host"), getattr(settings, f"{server}_port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror:
        raise ConfigurationError(f"{variable(f'{server}_host')} {host!r} is no address of this machine") from None
    except OSError as error:
        moves = variable(f"{server}_port")
        raise PortTaken(
            f"{_SHOWN[server]} can't listen on {host}, port {port} ({error.strerror}); {moves} moves it"
        ) from None


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # Only a proxy is believed when it says who the client is: one on this machine, or in FORWARDED_ALLOW_IPS.
        proxy_headers=settings.console_url is not None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws="none",
    )


def end_when_told(server: uvicorn.Server) -> None:
    """At SIGTERM or SIGINT `server` ends, when what was asked before is answered."""

    def end() -> None:
        server.should_exit = True

    # uvicorn listens as well while it serves, and then sends a signal again, which would kill this process.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
