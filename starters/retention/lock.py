"""One collection at a time: a lease in Redis."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import redis.asyncio as redis
import structlog

from activities.guards.redis_errors import translated
from engross.errors import EngrossError, ServiceUnavailable

KEY: Final = "engross:gc"
_LEASE_SECONDS: Final = 60.0
_RENEWALS_A_LEASE: Final = 4
_RENEW: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_RELEASE: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"

_log = structlog.get_logger(__name__)


class AlreadyCollecting(EngrossError):
    """Another collection runs."""


class Lease:
    """The right to delete."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0

    def extend(self, asked_at: float) -> None:
        """It was granted anew by an answer to what was asked at `asked_at` (`time.monotonic`)."""
        self._until = asked_at + self._seconds

    def check(self) -> None:
        """Raises `ServiceUnavailable` when somebody else may have the right by now."""
        # By this machine's clock, so that it ends too while Redis does not answer or this process does not run.
        if time.monotonic() >= self._until:
            raise ServiceUnavailable("the lock of `engross gc` in Redis was lost; run it again: it goes on from there")


@asynccontextmanager
async def exclusive(client: redis.Redis, *, seconds: float = _LEASE_SECONDS) -> AsyncIterator[Lease]:
    """Keeps all others out. Raises `AlreadyCollecting` when somebody else collects, `ServiceUnavailable`."""
    token, lease, asked_at = secrets.token_hex(16), Lease(seconds), time.monotonic()
    with translated():
        if not await client.set(KEY, token, nx=True, px=round(seconds * 1000)):
            raise AlreadyCollecting(
                f"`engross gc` runs already; wait for it or, if it was killed, for its lock to end in {seconds:.0f} s"
            )
    lease.extend(asked_at)
    renewing = asyncio.create_task(_renew(client, token, lease, seconds))
    try:
        yield lease
    finally:
        renewing.cancel()
        try:
            with translated():
                await client.eval(_RELEASE, 1, KEY, token)
        except ServiceUnavailable as error:
            _log.warning("the lock of gc could not be given back; it ends by itself", error=str(error))


async def _renew(client: redis.Redis, token: str, lease: Lease, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / _RENEWALS_A_LEASE)
        asked_at = time.monotonic()
        try:
            with translated():
                renewed = await client.eval(_RENEW, 1, KEY, token, str(round(seconds * 1000)))
        except ServiceUnavailable as error:
            _log.warning("the lock of gc could not be renewed", error=str(error))
            continue
        if not renewed:
            return
        lease.extend(asked_at)
