"""The way to Redis, and to the completion store and the budgets in it."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from activities.guards.budgets import Budgets
from activities.guards.completions import Completions
from activities.guards.durability import check_durability
from engross.errors import ConfigurationError, ServiceUnavailable
from engross.settings import Settings
from workers.stores_access import sealer_of

LEASE_SECONDS: Final = 15.0
# Beyond a call's own time limit: the end of every call must find its reservation.
HELD_LONGER_SECONDS: Final = 300.0
_REDIS_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_redis(settings: Settings, url: str) -> AsyncIterator[redis.Redis]:
    """A client for what must not be lost. Raises `ServiceUnavailable` or `ConfigurationError` with the fix."""
    # No retries inside the library: after a freeze it can apply one command twice.
    if url.startswith("redis://") and "ssl_" in urlsplit(url).query:
        raise ConfigurationError("ENGROSS_REDIS_URL: an address with ssl_ options begins with rediss://")
    pool = redis.BlockingConnectionPool.from_url(
        url, socket_connect_timeout=_REDIS_SECONDS, socket_timeout=_REDIS_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    client = redis.Redis.from_pool(pool)
    try:
        try:
            await client.ping()
        except RedisError as error:
            raise ServiceUnavailable(
                f"Redis does not answer ({type(error).__name__}): run `engross up`, or correct ENGROSS_REDIS_URL"
            ) from None
        if not settings.redis_unchecked:
            await check_durability(client)
        yield client
    finally:
        await client.aclose()


def open_completions(settings: Settings, client: redis.Redis) -> Completions:
    """The completion store in that Redis."""
    if settings.redis_url is not None and settings.secret is None:
        _log.warning("ENGROSS_SECRET is not set: workers on other machines can't use this one's kept replies")
    secret, sealer = installation_secret(settings), sealer_of(settings)
    return Completions(client, secret=secret, lease_seconds=LEASE_SECONDS, sealer=sealer)


def open_budgets(settings: Settings, client: redis.Redis) -> Budgets:
    """The budgets in that Redis."""
    return Budgets(client, held_seconds=settings.model_timeout_seconds + HELD_LONGER_SECONDS)


def installation_secret(settings: Settings) -> bytes:
    """What signs kept replies, decisions and the audit log.

    ENGROSS_SECRET, or one that is made once and kept in this machine's home folder.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = settings.home / "secret"
    if not file.exists():
        own = file.with_name(f"secret.{os.getpid()}")
        own.touch(mode=0o600)
        own.write_text(secrets.token_hex(32))
        with suppress(FileExistsError):  # another worker was quicker
            os.link(own, file)
        own.unlink()
    return file.read_bytes()
