"""Whether a Redis may keep what was paid for."""

from typing import Final

import redis.asyncio
from redis.exceptions import ResponseError

from activities.guards.redis_errors import translated
from engross.errors import ConfigurationError

# With Redis' own defaults, a killed server has lost the replies that it acknowledged, and a full one may drop them.
_NEEDED: Final = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


async def check_durability(client: redis.asyncio.Redis) -> None:
    """Raises `ConfigurationError`, with the fix, unless Redis writes an append-only file and never evicts.

    It says so too where the server does not let itself be asked, and names the override; whether that is set, and this
    is to be called at all, is the caller's decision. Raises `ServiceUnavailable` when Redis does not answer.
    """
    with translated():
        try:
            answer = await client.config_get(*_NEEDED)
        except ResponseError:
            raise ConfigurationError(
                "Redis does not let its configuration be read: make sure that it has persistence on and evicts nothing,"
                " then set ENGROSS_REDIS_UNCHECKED=1"
            ) from None
    found = {_text(name): _text(value) for name, value in answer.items()}
    fixes = [f"{name} {value}" for name, value in _NEEDED.items() if found.get(name) != value]
    if fixes:
        raise ConfigurationError(f"Redis would lose paid replies: set `{'` and `'.join(fixes)}` in its configuration")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
