"""Live updates: a page hears that something changed, and asks for what it shows anew."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol

import structlog

from engross.errors import ServiceUnavailable, TooManyRequests

MOST_STREAMS: Final = 8
_POLL_SECONDS: Final = 1.0
_FULL_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class Counting(Protocol):
    """What is watched; see `ApprovalRows`."""

    async def changes(self) -> int: ...


class Stream:
    """One open page."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def tell(self) -> None:
        self._news.set()

    async def has_news(self, seconds: float) -> bool:
        """Whether something happened within `seconds`, or since this was last asked."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        has_news = self._news.is_set()
        self._news.clear()
        return has_news


class Changes:
    """The open pages of this process, and the one watch over the inbox that serves them all."""

    def __init__(self, rows: Counting, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._rows = rows
        self._poll_seconds = poll_seconds
        self._streams: set[Stream] = set()
        self._by_person: Counter[str] = Counter()
        self.number = 0
        self.is_closed = False

    async def watch(self) -> None:
        """Tells all open pages when the inbox changes; until it is cancelled."""
        is_failing = False
        while True:
            try:
                number = await self._rows.changes() if self._streams else self.number
            except ServiceUnavailable as error:
                if not is_failing:
                    _log.warning("changes can't be watched", error=str(error))
                is_failing = True
            else:
                is_failing = False
                if number != self.number:
                    self.number = number
                    self._tell()
            await asyncio.sleep(self._poll_seconds)

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Stream]:
        """A place for one more page of that person. Raises `TooManyRequests` when they have `MOST_STREAMS` open."""
        if self.open_pages(name) >= MOST_STREAMS:
            raise TooManyRequests(f"{MOST_STREAMS} pages are open already; close one", _FULL_SECONDS)
        stream = Stream()
        self._by_person[name] += 1
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self._by_person[name] -= 1
            self._by_person += Counter()  # drops those without a page

    def open_pages(self, name: str) -> int:
        """How many that person has."""
        return self._by_person[name]

    def close(self) -> None:
        """Ends all streams, so that the server can stop."""
        self.is_closed = True
        self._tell()

    def _tell(self) -> None:
        for stream in self._streams:
            stream.tell()
