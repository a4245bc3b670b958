"""Master keys as operators write them: `id:base64`, separated by commas, the one that encrypts first."""

import base64
import binascii
import re
from typing import Final

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def parse_keys(text: str) -> dict[str, bytes]:
    """The keys by id, in order; raises `ValueError` with the fix, which never shows a key."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate((part.strip() for part in text.split(",")), start=1):
        name, _, encoded = entry.partition(":")
        if not _ID.fullmatch(name) or name in keys:
            raise ValueError(f"key {number} needs an id of its own: id:base64")
        try:
            key = base64.b64decode(encoded, altchars=b"-_" if set(encoded) & set("-_") else None, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(f"key {name} is not the base64 of {KEY_BYTES} bytes; `engross keys new` makes one")
        keys[name] = key
    return keys
