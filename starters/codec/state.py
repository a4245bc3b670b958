"""What belongs to the running codec server, for its routes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from temporalio.api.common.v1 import Payload

from activities.access import AccessStore
from starters.console.limits import Buckets
from starters.console.oidc import Issuer


class Codec(Protocol):
    """What seals payloads, and opens them; see `activities.encryption.codec`."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]: ...

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]: ...


@dataclass(frozen=True)
class CodecServer:
    """`origin` is that of Temporal's Web UI as browsers write it, "" where none is known; `is_ready` raises
    `ServiceUnavailable` while the database does not answer."""

    access: AccessStore
    codec: Codec
    origin: str
    users: Buckets
    clients: Buckets
    issuer: Issuer | None
    is_ready: Callable[[], Awaitable[object]]


def server_of(request: Request) -> CodecServer:
    """The codec server that this request is made to."""
    server: CodecServer = request.app.state.codec_server
    return server
