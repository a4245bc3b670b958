"""How much may be asked of a provider, kept by all workers together: rates per model and per tenant, and pauses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from activities.guards.redis_errors import translated

_MINUTE: Final = 60_000_000  # microseconds, the unit of all times in the scripts
# Longer than any call may take, so that its end finds its reservation; also the lifetime of one whose worker died.
_HELD_MS: Final = 2 * 3600 * 1000
# One junk header must not stop every worker for a day.
_LONGEST_PAUSE: Final = 3600.0
# One hash tag for all keys: a reservation spans a model's keys and a tenant's, which a cluster has to keep together.
_KEY: Final = "engross:{limits}:"

# A bucket is `tat` (when it will be full again) and two helpers: `line` (the time up to which room was told to those
# who had to wait) and `since` (when it was last full). No key means a full bucket. A request that is refused moves
# the line on, so that the next one is told a later time; the line starts again once it is a minute ahead, because
# those who were told may never come back.
_RESERVE: Final = """
local t = redis.call('TIME')
local now, burst = t[1] * 1000000 + t[2], tonumber(ARGV[3])
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then return paused * 1000 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local found, wait = {}, 0
for i = 3, #KEYS do
  local b = redis.call('HMGET', KEYS[i], 'tat', 'line', 'since')
  local own = {cost = tonumber(ARGV[i + 1]), tat = math.max(tonumber(b[1] or 0), now), since = b[3]}
  own.line = math.max(tonumber(b[2] or 0), own.tat)
  own.head = burst - math.min(own.cost, burst)
  if own.tat - own.head > now then
    if own.line - own.tat > burst then own.line = own.tat end
    wait = math.max(wait, own.line - own.head - now)
    redis.call('HSET', KEYS[i], 'line', own.line + own.cost)
    redis.call('PEXPIRE', KEYS[i], math.ceil((own.line + own.cost - now) / 1000))
  end
  found[i] = own
end
if wait > 0 then return math.ceil(wait) end
for i = 3, #KEYS do
  local own = found[i]
  local since = own.tat > now and own.since or now
  redis.call('HSET', KEYS[i], 'tat', own.tat + own.cost, 'since', since)
  redis.call('PEXPIRE', KEYS[i], math.ceil((math.max(own.tat + own.cost, own.line) - now) / 1000))
end
if #KEYS > 2 then
  redis.call('HSET', KEYS[1], 'tokens', ARGV[1], 'at', now)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""

# A bucket that was full since the reservation has nothing to get back: what was reserved has refilled already. The
# reservation goes last: should Redis be out of memory, nothing of this is done.
_SETTLE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
if not held[1] then return 0 end
local more = ARGV[1] - held[1]
for i = 2, #KEYS do
  local b = redis.call('HMGET', KEYS[i], 'tat', 'line', 'since')
  local tat = math.max(tonumber(b[1] or 0), now)
  local since = tat > now and tonumber(b[3]) or now
  if more > 0 or since <= tonumber(held[2]) then
    tat = tat + more * ARGV[i]
    redis.call('HSET', KEYS[i], 'tat', tat, 'since', since)
    redis.call('PEXPIRE', KEYS[i], math.ceil((math.max(tat, tonumber(b[2] or 0)) - now) / 1000))
  end
end
redis.call('DEL', KEYS[1])
return 1
"""

_PAUSE: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end
"""


@dataclass(frozen=True)
class Limit:
    """What one model may be asked per minute; None is no limit, anything else is at least 1."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        _check(self.requests_per_minute)
        _check(self.tokens_per_minute)


class Limits:
    """Requests and tokens per minute for each model, and tokens per minute for each tenant.

    Buckets that refill evenly and hold one minute's worth, which is how the providers count, too: in any `t` minutes
    at most `1 + t` times the limit passes (a single request of more apart). They are kept as one time each (the
    generic cell rate algorithm), which needs no refilling, carries a debt, and expires by itself. All times are the
    server's.

    Every method raises `ServiceUnavailable` when Redis does not answer; all of them can then be repeated.
    """

    def __init__(
        self, client: Redis, limits: Mapping[str, Limit], *, tenant_tokens_per_minute: int | None = None
    ) -> None:
        """`limits` by `provider:model`, or by `provider` for each of its other models, each on its own."""
        _check(tenant_tokens_per_minute)
        self._limits = dict(limits)
        self._tenant_tokens = tenant_tokens_per_minute
        self._reserve = client.register_script(_RESERVE)
        self._settle = client.register_script(_SETTLE)
        self._pause = client.register_script(_PAUSE)

    async def reserve(self, *, provider: str, model: str, tenant: str, tokens: int, reservation: str) -> float:
        """Takes one request and `tokens` from the limits. Returns 0.0, or the seconds to wait, with nothing taken.

        `reservation` names one call that may reach the provider; until it is settled (or two hours are over), naming
        it again takes nothing more. More tokens than a minute's worth pass when the bucket is full. Waits differ
        from caller to caller, so that not everybody comes back at once; only after a pause they are the same.
        """
        requests = self._limit(provider, model).requests_per_minute
        buckets = {f"requests:{provider}:{model}": _MINUTE / requests} if requests else {}
        for name, cost in self._token_buckets(provider, model, tenant).items():
            buckets[name] = cost * max(tokens, 0)
        keys = (_held(provider, model, reservation), f"paused:{provider}:{model}", *buckets)
        return await _run(self._reserve, keys, max(tokens, 0), _HELD_MS, _MINUTE, *buckets.values()) / 1e6

    async def settle(self, *, provider: str, model: str, tenant: str, reservation: str, tokens: int) -> None:
        """Corrects a reservation to the `tokens` really used, 0 if the call was never made; ends the reservation.

        One that is not held (settled already, expired, never made) changes nothing. The request stays counted.
        """
        buckets = self._token_buckets(provider, model, tenant)
        if buckets or self._limit(provider, model).requests_per_minute:
            await _run(self._settle, (_held(provider, model, reservation), *buckets), max(tokens, 0), *buckets.values())

    async def pause(self, *, provider: str, model: str, seconds: float) -> None:
        """Nobody calls this model for so many seconds, an hour at most; a longer pause in force stays."""
        if seconds > 0:
            milliseconds = math.ceil(min(seconds, _LONGEST_PAUSE) * 1000)
            await _run(self._pause, (f"paused:{provider}:{model}",), milliseconds)

    def _limit(self, provider: str, model: str) -> Limit:
        return self._limits.get(f"{provider}:{model}") or self._limits.get(provider) or Limit()

    def _token_buckets(self, provider: str, model: str, tenant: str) -> dict[str, float]:
        """The microseconds that one token takes to refill, by bucket."""
        rates = {
            f"tokens:{provider}:{model}": self._limit(provider, model).tokens_per_minute,
            f"tenant:{tenant}": self._tenant_tokens,
        }
        return {name: _MINUTE / rate for name, rate in rates.items() if rate}


def _held(provider: str, model: str, reservation: str) -> str:
    # Per model: a call that moves on to the next model of its route is charged there, too.
    return f"held:{provider}:{model}:{reservation}"


def _check(per_minute: int | None) -> None:
    if per_minute is not None and per_minute < 1:
        raise ValueError("a limit is at least 1 a minute; None is no limit")


async def _run(script: AsyncScript, names: tuple[str, ...], *args: float) -> int:
    with translated():
        return int(await script(keys=[_KEY + name for name in names], args=args) or 0)
