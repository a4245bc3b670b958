"""The log level of a running fleet: one key in Redis that every worker looks at, and that falls away by itself."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from activities.guards.redis_errors import translated
from engross.errors import InvalidRequest
from workers.logs import LEVELS, Levels

LOOK_EVERY_SECONDS: Final = 5.0
MOST_MINUTES: Final = 24 * 60

_KEY: Final = "engross:log_level"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wish:
    """Lines from `level` on are wanted: all of ours, or those of `logger` only. `seconds` is how long still."""

    level: str
    logger: str = ""
    seconds: float = 0.0


async def put_level(store: Redis, level: str, logger: str, time: timedelta) -> None:
    """Asks every worker for that level, instead of what was asked before. Raises `InvalidRequest` for no level or
    time, `ServiceUnavailable` when Redis does not answer."""
    if level not in LEVELS:
        raise InvalidRequest(f"a level is one of {', '.join(LEVELS)}")
    if not timedelta(seconds=1) <= time <= timedelta(minutes=MOST_MINUTES):
        raise InvalidRequest(f"--minutes is more than 0, and {MOST_MINUTES} at most")
    with translated():
        await store.set(_KEY, json.dumps({"level": level, "logger": logger}), px=time)


async def end_level(store: Redis) -> None:
    """Asks for nothing any more. Raises `ServiceUnavailable` when Redis does not answer."""
    with translated():
        await store.delete(_KEY)


async def wished(store: Redis) -> Wish | None:
    """What is asked for; None is nothing. Raises `ServiceUnavailable` when Redis does not answer."""
    with translated():
        value = await store.get(_KEY)
        left = await store.pttl(_KEY)
    wish = _read(value)
    return Wish(wish.level, wish.logger, max(left, 0) / 1000) if wish else None


async def follow(store: Redis, levels: Levels, every_seconds: float = LOOK_EVERY_SECONDS) -> None:
    """Sets `levels` as Redis asks, until cancelled. Where Redis does not answer they stay as they are."""
    before: Wish | None = None
    while True:
        try:
            wish = _read(await store.get(_KEY))
        except RedisError as error:
            _log.debug("the log level could not be looked up", error=type(error).__name__)
        else:
            if wish != before:
                _apply(levels, wish)
            before = wish
        await asyncio.sleep(every_seconds)


def _apply(levels: Levels, wish: Wish | None) -> None:
    if wish is None:
        levels.reset()
        _log.warning("log level is as it was set")
    else:
        levels.set(wish.level, wish.logger)
        # As a warning, so that every level shows where it begins.
        _log.warning("log level is changed", to=wish.level, of=wish.logger or "all")


def _read(value: bytes | str | None) -> Wish | None:
    """None also for what is none of ours: anybody with access to Redis can write there."""
    if value is None:
        return None
    try:
        told: Any = json.loads(value)
        wish = Wish(level=str(told["level"]), logger=str(told["logger"]))
    except (ValueError, LookupError, TypeError):
        return None
    return wish if wish.level in LEVELS else None
