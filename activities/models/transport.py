"""The HTTP under both SDKs: their own defaults, but no redirects, and a limit to what a reply may weigh."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import httpx2

from engross.errors import ReplyTooLarge

MOST_REPLY_BYTES: Final = 16 * 1024 * 1024  # unpacked; 128,000 tokens are under 1 MB
_CONNECT_SECONDS: Final = 10.0
_TOO_LARGE: Final = f"a reply of more than {MOST_REPLY_BYTES:,} bytes is no answer; check what serves that model"


def client_options(seconds: float) -> dict[str, Any]:
    """What an SDK's own default client is built with. `seconds` is the longest silence, not the total time.

    Redirects are off: they would take the document, and Anthropic's key, to an address that nobody chose.
    """
    return {
        "timeout": httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
        "follow_redirects": False,
        "event_hooks": {"response": [_limit]},
    }


async def _limit(response: httpx2.Response) -> None:
    """Puts a counter between the reply, unpacked as it comes, and whoever reads it.

    A hook rather than a transport: with a transport of its own a client would no longer honour the proxy settings.
    """
    packed = httpx2.Response(
        response.status_code, headers=response.headers, stream=response.stream, request=response.request
    )
    response.stream = _Counted(packed)
    for header in ("content-encoding", "content-length"):  # they describe what came, not what is read
        response.headers.pop(header, None)


class _Counted(httpx2.AsyncByteStream):
    """The unpacked body of `reply`. Raises `ReplyTooLarge` over the limit; the body of an error just ends there."""

    def __init__(self, reply: httpx2.Response) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        # httpx2 unpacks at most 1 MiB at a time, so that a small body can't become a large one before it is counted.
        async with aclosing(self._reply.aiter_bytes()) as parts:
            async for part in parts:
                size += len(part)
                if size > MOST_REPLY_BYTES:
                    if self._reply.is_error:  # its status says enough
                        return
                    raise ReplyTooLarge(_TOO_LARGE)
                yield part

    async def aclose(self) -> None:
        await self._reply.aclose()
