"""Signatures of what people decide: made where somebody has signed in, checked where it is counted.

HMAC-SHA256 (RFC 2104) over the canonical JSON of an act without its signature, with a key derived from the
installation's secret, so that the same secret never signs two kinds of thing. A signature holds for one approval, one
content and one idempotency key only: repeating the message repeats nothing.
"""

import hashlib
import hmac
import json
from typing import Final

from engross.contracts import Act

_PURPOSE: Final = b"engross decision 1"


def sign(act: Act, secret: bytes) -> Act:
    """`act` with its signature."""
    return act.model_copy(update={"signature": _signature(act, secret)})


def is_signed(act: Act, secret: bytes) -> bool:
    """Whether the signature is there and right."""
    return hmac.compare_digest(act.signature.encode(), _signature(act, secret).encode())


def _signature(act: Act, secret: bytes) -> str:
    key = hmac.digest(secret, _PURPOSE, hashlib.sha256)
    said = json.dumps(act.model_dump(mode="json", exclude={"signature"}), sort_keys=True, separators=(",", ":"))
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
