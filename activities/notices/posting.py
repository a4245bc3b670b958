"""One POST to an address of the operator's: no redirects, no cookies, and nothing read of the reply but its status."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from engross.errors import ConfigurationError, NoticeFailed, NoticeRefused

SECONDS: Final = 10.0
"""How long a receiver may take, the connection included."""

_PASSING: Final = frozenset({408, 429})


def check_address(address: str, variable: str) -> str:
    """`address`. Raises `ConfigurationError` naming its variable only, as an address can be secret itself."""
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that don't close
        is_whole = False
    if not is_whole:
        raise ConfigurationError(f"{variable} is not an address such as https://example.com/hook")
    return address


async def post(address: str, body: bytes, headers: Mapping[str, str], *, receiver: str, seconds: float) -> None:
    """Sends JSON. Raises `NoticeFailed` for what may pass, `NoticeRefused` for a redirect and all other 4xx.

    `receiver` is what errors call it; they never tell its address.
    """
    try:
        status = await _status(address, body, {**headers, "Content-Type": "application/json"}, seconds)
    except TimeoutError:
        raise NoticeFailed(f"{receiver} did not answer within {seconds:g} seconds") from None
    except (aiohttp.ClientError, OSError) as error:
        raise NoticeFailed(f"{receiver} cannot be reached ({type(error).__name__})") from None
    if 200 <= status < 300:
        return
    if status >= 500 or status in _PASSING:
        raise NoticeFailed(f"{receiver} answered HTTP {status}")
    raise NoticeRefused(f"{receiver} answered HTTP {status}; check its address")


async def _status(address: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
    # The reply is never read: leaving the block closes its connection, however much is still to come.
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds), cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
        ) as session,
        session.post(address, data=body, headers=headers, allow_redirects=False) as reply,
    ):
        return reply.status
