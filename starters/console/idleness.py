"""Which sessions nobody uses any more, though a page of theirs is open and keeps asking by itself.

`AccessStore.session` counts every request as use. What a page asks for by itself must not keep its session alive, so
this process remembers when each session was last used by a person.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta


class Idleness:
    """`idle` is how long a session may go unused."""

    def __init__(self, idle: timedelta, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = idle.total_seconds()
        self._clock = clock
        self._used: dict[bytes, float] = {}  # oldest first

    def is_over(self, token: str, *, is_used: bool) -> bool:
        """Whether the session has gone unused for too long. `is_used` says that a person uses it now."""
        self._forget()
        now, key = self._clock(), hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        last = self._used.get(key)
        if last is not None and now - last >= self._seconds:
            del self._used[key]
            return True
        if last is None or is_used:
            # A session that this process has not seen yet has been used lately, or the store would have ended it.
            self._used.pop(key, None)
            self._used[key] = now
        return False

    def _forget(self) -> None:
        # Those that have been unused for so long that the store has ended them too.
        limit = self._clock() - 2 * self._seconds
        while self._used and next(iter(self._used.values())) < limit:
            del self._used[next(iter(self._used))]
