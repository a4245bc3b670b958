"""Makes the acts of people who have signed in: what they say goes to the blob store, the act itself is signed."""

import json
import math
import re
import secrets
from datetime import UTC, datetime
from typing import Any, Final, Required, TypedDict

from activities.storage import BlobStore
from engross.contracts import Act, ActKind, BlobRef
from engross.errors import InvalidRequest, NotAcceptable
from engross.names import is_name, is_user
from engross.people import Person
from engross.signing import sign

MOST_NOTE: Final = 20_000
"""Characters of a reason or of feedback."""

_MOST_VALUE: Final = 8_000_000
_KEY: Final = re.compile(r"[!-~]{1,200}")
_KEY_BYTES: Final = 16


class Said(TypedDict, total=False):
    """What somebody says besides what they do.

    `shown` is the hash of what they saw; `key` makes repeating it harmless (default: a new one); `reason` is a reason
    or feedback, `value` the corrected answer as a JSON value, `to` a person or group that it is delegated to, `hours`
    how much longer it may take. `source` (console, command, api) and `address` (of the client) are for the audit.
    """

    shown: str
    key: str
    reason: str
    value: Any
    to: str
    hours: float
    source: Required[str]
    address: Required[str]


class Signing:
    """Makes signed acts."""

    def __init__(self, blobs: BlobStore, secret: bytes) -> None:
        self._blobs = blobs
        self._secret = secret

    async def signed(self, person: Person, tenant: str, approval_id: str, kind: ActKind, said: Said) -> Act:
        """The act. Raises `InvalidRequest` or `NotAcceptable` for what can't travel, `ServiceUnavailable`."""
        key, to, hours = said.get("key", ""), said.get("to", ""), said.get("hours", 0.0)
        if key and not _KEY.fullmatch(key):
            raise InvalidRequest("a key is 1 to 200 characters of ASCII without spaces")
        if to and not (is_user(to) or is_name(to)):
            raise InvalidRequest("delegate to the name of a person or of a group")
        if not math.isfinite(hours):
            raise InvalidRequest("hours are a number")
        act = Act(
            kind=kind,
            by=person.name,
            approval_id=approval_id,
            shown=_storable(said.get("shown", "")),
            key=key or secrets.token_hex(_KEY_BYTES),
            note=await self._note(tenant, said.get("reason", "")),
            value=await self._value(tenant, said.get("value")) if kind is ActKind.CORRECT else None,
            to=to,
            hours=hours,
            at=datetime.now(UTC),
            source=_storable(said["source"]),
            address=_storable(said["address"]),
        )
        return sign(act, self._secret)

    async def _note(self, tenant: str, text: str) -> BlobRef | None:
        if not text.strip():
            return None
        if len(text) > MOST_NOTE:
            raise NotAcceptable(f"say it in {MOST_NOTE:,} characters")
        return await self._blobs.put(tenant, _storable(text).encode(), "text/plain")

    async def _value(self, tenant: str, value: Any) -> BlobRef:
        try:
            data = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError):
            raise InvalidRequest("the corrected answer is no JSON value") from None
        if len(data) > _MOST_VALUE:
            raise InvalidRequest(f"the corrected answer is longer than {_MOST_VALUE:,} bytes")
        return await self._blobs.put(tenant, data, "application/json")


def _storable(text: str) -> str:
    """`text` without half characters, which neither JSON nor UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode()
