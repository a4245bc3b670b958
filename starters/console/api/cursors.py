"""Where a page of a list ends, as clients carry it to the next one: readable, and of no use when it is changed."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Final, NoReturn

from engross.errors import InvalidRequest

_PURPOSE: Final = b"engross api cursor 1"
_DIGITS: Final = 32


class Cursors:
    """Made and read with a key of their own, derived from the installation's `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def make(self, *place: str) -> str:
        """A cursor that stands for `place`."""
        body = urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
        return f"{body}.{self._mac(body)}"

    def read(self, cursor: str) -> list[str]:
        """The place. Raises `InvalidRequest` for a cursor that is not ours."""
        body, _, mac = cursor.partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(body).encode()):
            _refuse()
        try:
            place = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (NotBase64, ValueError):
            _refuse()
        return list(map(str, place))

    def _mac(self, body: str) -> str:
        return hmac.new(self._key, body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_DIGITS]


def _refuse() -> NoReturn:
    raise InvalidRequest("that is no page of this list; begin with the first one")
