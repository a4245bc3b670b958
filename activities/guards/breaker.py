"""A circuit per provider, shared by all workers: while it is open nobody calls, then one call at a time tries."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from activities.guards.redis_errors import translated

# How long a circuit is remembered when nobody asks for it any more: longer than any call may take, so that the
# outcome of every call finds the circuit that let it go.
_MEMORY_MS: Final = 2 * 3600 * 1000

# How soon to ask again while a probe is out: it is about to decide, for everybody.
_PROBE_PATIENCE_SECONDS: Final = 5.0

# KEYS: the circuit, its recent failures by time. The circuit's fields: `epoch`, a new one at each opening and
# closing (permits carry it, so what began before is told apart), and while it is open `until`, `period` (how long it
# stays open this time), `lease` (until when a probe is out), `cause`, and `opener`, the permit that opened it.
_NOW: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
"""

_ALLOW: Final = (
    _NOW
    + """
local c = redis.call('HMGET', KEYS[1], 'epoch', 'until', 'lease', 'cause')
local token = (c[1] or '0') .. ':' .. ARGV[1]
if not c[2] then return {0, 0, token} end
local rest, lease = tonumber(c[2]) - now, tonumber(c[3] or 0) - now
if rest <= 0 and lease > 0 then rest = math.min(lease, tonumber(ARGV[3])) end
if rest > 0 then return {math.ceil(rest), c[4]} end
redis.call('HSET', KEYS[1], 'lease', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000) + ARGV[4])
return {0, 1, token}
"""
)

_SUCCESS: Final = (
    _NOW
    + """
local c = redis.call('HMGET', KEYS[1], 'epoch', 'until')
if (c[1] or '0') ~= string.match(ARGV[1], '^%d+') then return 0 end
if not c[2] then redis.call('ZPOPMIN', KEYS[2]) return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)

_PROBE_NOW: Final = (
    _NOW
    + """
if redis.call('HEXISTS', KEYS[1], 'until') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'until', now)
redis.call('HDEL', KEYS[1], 'lease')
return 1
"""
)

_FAILURE: Final = (
    _NOW
    + """
local token, wanted, window, cause = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[7]
local c = redis.call('HMGET', KEYS[1], 'epoch', 'until', 'period', 'opener')
if c[4] == token then return 1 end
if (c[1] or '0') ~= string.match(token, '^%d+') then return 0 end
local period, opener = tonumber(ARGV[5]), token
if c[2] then
  period, opener = math.min(c[3] * 2, ARGV[6]), c[4]
else
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
  redis.call('ZADD', KEYS[2], now, token)
  redis.call('PEXPIRE', KEYS[2], math.ceil(window / 1000))
  if redis.call('ZCARD', KEYS[2]) < wanted then return 0 end
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', now), 'until', now + period, 'period', period,
  'cause', cause, 'opener', opener)
redis.call('HDEL', KEYS[1], 'lease')
redis.call('PEXPIRE', KEYS[1], math.ceil(period / 1000) + ARGV[2])
return c[2] and 0 or 1
"""
)

_STATE: Final = (
    _NOW
    + """
local c = redis.call('HMGET', KEYS[1], 'until', 'cause')
if not c[1] then return {0} end
return {now < tonumber(c[1]) and 1 or 2, tonumber(c[1]), c[2]}
"""
)


@dataclass(frozen=True)
class Permit:
    """Leave for one call, to be handed back with its outcome. A `probe` is the call that an open circuit waits for."""

    probe: bool
    token: str


@dataclass(frozen=True)
class Rest:
    """No leave now: come back in so many seconds. `cause` is what opened the circuit."""

    seconds: float
    cause: str


@dataclass(frozen=True)
class State:
    """A circuit as it is now: `opened_by` is the last cause, `until` when calls are tried again (server's clock)."""

    name: Literal["closed", "open", "half_open"]
    opened_by: str | None = None
    until: datetime | None = None


class Breaker:
    """One circuit per provider; only trouble of the provider's is to be told as a failure.

    It opens when failures outnumber successes by `failures` within the window, so that a total outage takes just
    that many calls, and a busy provider that fails now and then stays in use. Then one call at a time is let through
    as a probe: its success closes the circuit, its failure doubles the time to the next. All times are the server's.

    Every method raises `ServiceUnavailable` when Redis does not answer; all of them can then be repeated.
    """

    def __init__(
        self,
        client: Redis,
        *,
        failures: int = 5,
        window_seconds: float = 60,
        open_seconds: float = 30,
        longest_seconds: float = 600,
        probe_seconds: float = 60,
    ) -> None:
        """`probe_seconds`: another probe goes out when one has said nothing for so long; its worker may be dead."""
        if failures < 1 or min(window_seconds, open_seconds, probe_seconds) <= 0 or longest_seconds < open_seconds:
            raise ValueError("failures are at least 1, times more than 0, and longest_seconds at least open_seconds")
        self._failures = failures
        self._window = _microseconds(window_seconds)
        self._open = _microseconds(open_seconds)
        self._while_probed = min(self._open, _microseconds(_PROBE_PATIENCE_SECONDS))
        self._longest = _microseconds(longest_seconds)
        self._lease = _microseconds(probe_seconds)
        self._allow = client.register_script(_ALLOW)
        self._success = client.register_script(_SUCCESS)
        self._failure = client.register_script(_FAILURE)
        self._state = client.register_script(_STATE)
        self._probe_now = client.register_script(_PROBE_NOW)

    async def allow(self, provider: str) -> Permit | Rest:
        """Leave for one call, or how long to wait: until the next probe, or 5 s while one is out.

        A permit whose call was cancelled needs no outcome; a probe's place then falls free after `probe_seconds`.
        """
        name = secrets.token_hex(8)
        found = await _run(self._allow, provider, name, self._lease, self._while_probed, _MEMORY_MS)
        if len(found) == len(("wait", "cause")):
            return Rest(float(found[0]) / 1e6, found[1].decode())
        return Permit(probe=found[1] == 1, token=found[2].decode())

    async def success(self, provider: str, permit: Permit) -> None:
        """The provider replied, whatever it said. Means nothing if the circuit opened after the permit was given."""
        await _run(self._success, provider, permit.token, _MEMORY_MS)

    async def failure(self, provider: str, permit: Permit, *, at_once: bool = False, cause: str = "failures") -> bool:
        """The provider failed. True for the one call that opened a closed circuit, also when that call is repeated.

        `at_once` opens without counting: a bad key, no money. `cause` is what `state` shows, an error's name say;
        never text from a reply. A probe's failure keeps the circuit open and is no news: False.
        """
        wanted = 0 if at_once else self._failures
        times = (self._window, self._open, self._longest)
        return bool(await _run(self._failure, provider, permit.token, _MEMORY_MS, wanted, *times, cause))

    async def state(self, provider: str) -> State:
        """How the circuit stands, changing nothing. It is `half_open` from `until` on, until a probe has decided."""
        found = await _run(self._state, provider)
        if found[0] == 0:
            return State("closed")
        until = datetime.fromtimestamp(found[1] / 1e6, UTC)
        return State("open" if found[0] == 1 else "half_open", found[2].decode(), until)

    async def probe_now(self, provider: str) -> bool:
        """Lets the next call through as a probe, however long the circuit was to stay open; whether it is open."""
        return bool(await _run(self._probe_now, provider))


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


async def _run(script: AsyncScript, provider: str, *args: str | int) -> Any:
    circuit = f"engross:{{breaker:{provider}}}"
    with translated():
        return await script(keys=[circuit, f"{circuit}:failures"], args=args)
