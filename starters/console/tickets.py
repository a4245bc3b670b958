"""What a browser keeps for us while somebody signs in elsewhere: signed, short-lived, and good for one use."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from typing import Final

from engross.errors import NotSignedIn

_PURPOSE: Final = b"engross console sign-in 1"
_SECONDS: Final = 600


class Tickets:
    """Made and taken with a key of their own, derived from the installation's `secret`.

    That a ticket was used is remembered by this process; another one of the same installation would take it again.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)
        self._clock = clock
        self._used: dict[str, float] = {}  # ids, and when their tickets end; oldest first

    def make(self, values: Mapping[str, str]) -> str:
        """A ticket with `values`, which its holder can read but not change."""
        said = {"values": dict(values), "id": secrets.token_urlsafe(16), "ends": self._clock() + _SECONDS}
        body = urlsafe_b64encode(json.dumps(said).encode()).decode()
        return f"{body}.{self._mac(body)}"

    def take(self, ticket: str) -> dict[str, str]:
        """The values. Raises `NotSignedIn` when it is not ours, too old or used."""
        body, _, mac = ticket.partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(body).encode()):
            raise NotSignedIn("that sign-in was not begun in this browser; begin again")
        try:
            said = json.loads(urlsafe_b64decode(body))
        except (NotBase64, ValueError):
            raise NotSignedIn("that sign-in can't be read; begin again") from None
        self._forget()
        if said["ends"] <= self._clock() or said["id"] in self._used:
            raise NotSignedIn("that sign-in took too long, or is over; begin again")
        self._used[said["id"]] = said["ends"]
        values: dict[str, str] = said["values"]
        return values

    def _mac(self, body: str) -> str:
        return hmac.new(self._key, body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _forget(self) -> None:
        while self._used and next(iter(self._used.values())) <= self._clock():
            del self._used[next(iter(self._used))]
