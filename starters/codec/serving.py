"""The codec server's process: opens what it needs, listens, and stops when it is told to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from activities.access import AccessStore
from activities.encryption.codec import SealingCodec
from activities.encryption.keys import TenantKeys
from activities.storage.database import Database
from engross.endpoints import running_stack
from engross.errors import ConfigurationError
from engross.settings import Settings
from starters.codec.app import create_app
from starters.codec.state import CodecServer
from starters.console.addresses import is_loopback, site_of
from starters.console.limits import Buckets
from starters.console.listening import config_of, end_when_told, listener_of
from starters.console.oidc import Issuer

# A page of the Web UI asks once for each event of a history.
_TIMES_THE_CONSOLE: Final = 10
# An office of people can be behind one address.
_PEOPLE_AT_AN_ADDRESS: Final = 10
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[CodecServer]:
    """Connects to the database that `settings` name. Raises `ConfigurationError` or `ServiceUnavailable`."""
    keys = TenantKeys.of(settings)
    if keys is None:
        raise ConfigurationError("encryption is off, so there is nothing to decode; set ENGROSS_ENCRYPTION_KEYS")
    per_minute = settings.user_requests_per_minute * _TIMES_THE_CONSOLE
    database = Database.open(settings.results_url)
    access = AccessStore(database)
    try:
        await access.start()
        yield CodecServer(
            access=access,
            codec=SealingCodec(keys),
            origin=web_ui_origin(settings),
            users=Buckets(per_minute),
            clients=Buckets(per_minute * _PEOPLE_AT_AN_ADDRESS),
            issuer=Issuer(settings) if settings.oidc_issuer else None,
            is_ready=access.is_empty,
        )
    finally:
        await database.close()


async def serve(settings: Settings, listening: Callable[[str, str], None]) -> None:
    """Serves until SIGTERM or SIGINT. `listening` is told the address, and the Web UI's origin.

    Raises `ConfigurationError`, `PortTaken` or `ServiceUnavailable`, each with the fix.
    """
    _check_address(settings)
    async with open_server(settings) as codec_server:
        with listener_of(settings, "codec") as listener:
            server = uvicorn_of(create_app(codec_server), settings)
            end_when_told(server)
            listening(f"http://{settings.codec_host}:{settings.codec_port}", codec_server.origin)
            await server.serve([listener])


def uvicorn_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server for `app`, to be given its socket."""
    return uvicorn.Server(config_of(app, settings))


def web_ui_origin(settings: Settings) -> str:
    """Scheme, host and port of Temporal's Web UI as browsers write them; "" where none is known."""
    stack = None if settings.web_ui_url else running_stack(settings.home)
    address = settings.web_ui_url or (stack.web_ui if stack and not settings.temporal_address else None)
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host:
        raise ConfigurationError(
            "ENGROSS_WEB_UI_URL must be the address of Temporal's Web UI: https://temporal.example.com"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def _check_address(settings: Settings) -> None:
    """Raises `ConfigurationError` where keys and documents would cross a network without encryption."""
    if is_loopback(settings.codec_host):
        return
    if settings.console_url is None:
        raise ConfigurationError(
            f"the codec server on {settings.codec_host} would be reached without encryption: put TLS in front of it (a"
            " reverse proxy) and set ENGROSS_CONSOLE_URL to the console's https:// address, or listen on 127.0.0.1"
        )
    site_of(settings)  # it has to be one that is encrypted, or of this machine
