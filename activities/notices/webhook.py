"""The webhook: a POST of JSON for every notice, signed as Standard Webhooks says (https://www.standardwebhooks.com).

A receiver checks three headers, here without a library:

    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body  # the bytes as they came
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    given = [part.removeprefix("v1,") for part in headers["webhook-signature"].split() if part.startswith("v1,")]
    is_ours = any(hmac.compare_digest(expected, each) for each in given)
    is_new = abs(time.time() - int(headers["webhook-timestamp"])) < 300

and drops a `webhook-id` that it has had before: a notice is sent again when its answer is lost.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from activities.notices.channel import Record
from activities.notices.posting import SECONDS, check_address, post
from activities.notices.told import Told

_PURPOSE: Final = b"engross webhook 1"


def webhook_secret(secret: bytes) -> str:
    """What a receiver needs to check signatures, from the installation's secret, which stays here."""
    return "whsec_" + base64.b64encode(_key(secret)).decode()


def signature(key: bytes, notice_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`."""
    said = f"{notice_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()


class Webhook:
    """Posts notices to `address`. `secret` is the installation's; `seconds` is how long the receiver may take."""

    name: Final = "webhook"

    def __init__(self, address: str, *, secret: bytes, seconds: float = SECONDS) -> None:
        self._address = check_address(address, "ENGROSS_NOTIFY_WEBHOOK")
        self._key = _key(secret)
        self._seconds = seconds

    async def send(self, told: Told, record: Record) -> None:
        """See `Channel.send`."""
        await record.once(self.name, partial(self._post, told))

    async def _post(self, told: Told) -> None:
        now = datetime.now(UTC)
        body = json.dumps(_said(told, now), separators=(",", ":")).encode()
        timestamp = int(now.timestamp())
        headers = {
            "webhook-id": told.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, told.id, timestamp, body),
            "Engross-Notice-Id": told.id,
        }
        await post(self._address, body, headers, receiver="the webhook", seconds=self._seconds)


def _key(secret: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE, hashlib.sha256)


def _said(told: Told, now: datetime) -> dict[str, Any]:
    return {
        "id": told.id,
        "kind": told.kind,
        "approval_id": told.approval_id,
        "job": told.job,
        "tenant": told.tenant,
        "risk": told.risk,
        "reasons": told.reasons,
        "round": told.round,
        "document_name": told.document_name or None,
        "due_at": told.due_at.isoformat() if told.due_at else None,
        "verdict": told.verdict,
        "decided_by": told.decided_by,
        "url": told.url,
        "sent_at": now.isoformat(),
    }
