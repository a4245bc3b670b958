"""How often somebody may ask, and how much they may send.

The counts are kept in this process: with several behind one address, each allows that much.
"""

import asyncio
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import Message, Receive

FORM_BYTES: Final = 1_000_000
# Enough for the largest document on a slow line.
BODY_SECONDS: Final = 300.0
_MOST_KEYS: Final = 10_000
_NETWORK: Final = 64
_LENGTH_DIGITS: Final = 18


class Buckets:
    """A token bucket for each key: `per_minute` at once when nothing was asked for a minute, then as they refill."""

    def __init__(
        self, per_minute: float, *, most: int = _MOST_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_tokens = per_minute
        self._per_second = per_minute / 60
        self._most_keys = most
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # tokens, and when that was counted; oldest use first

    def wait(self, key: str) -> float:
        """Takes a token of `key`; 0, or else the seconds until there is one."""
        now = self._clock()
        tokens, then = self._left.pop(key, (self._most_tokens, now))
        tokens = min(self._most_tokens, tokens + (now - then) * self._per_second)
        self._left[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._left) > self._most_keys:
            # Who was not seen for longest has refilled most: forgetting them gives away least.
            del self._left[next(iter(self._left))]
        return 0.0 if tokens >= 1 else (1 - tokens) / self._per_second


def network(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> _NETWORK << _NETWORK))


def limited(receive: Receive, headers: Headers, most: int, seconds: float = BODY_SECONDS) -> Receive:
    """`receive` for a body of at most `most` bytes that arrives within `seconds`.

    More raises an HTTP error 413 when it is read, and one that takes longer 408: nobody holds a connection by sending
    a byte a minute.
    """
    seen, is_whole = 0, False
    deadline = asyncio.get_running_loop().time() + seconds
    length = headers.get("content-length", "0")
    # So many digits are more than enough for any length, and `int` refuses thousands.
    is_declared_too_large = not length.isdecimal() or len(length) > _LENGTH_DIGITS or int(length) > most

    async def counted() -> Message:
        nonlocal seen, is_whole
        try:
            # Once all is there, what is waited for is the client's leaving, which may take as long as it likes.
            async with asyncio.timeout_at(None if is_whole else deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the request took too long to arrive; send it again") from None
        is_whole = is_whole or not message.get("more_body", False)
        seen += len(message.get("body", b""))
        if is_declared_too_large or seen > most:
            raise HTTPException(413, f"the request is larger than {most:,} bytes")
        return message

    return counted
