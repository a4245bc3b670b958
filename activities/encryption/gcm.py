"""AES-256-GCM with random nonces, where every ciphertext is bound to the place that it was made for."""

import json
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


def encrypt(key: bytes, data: bytes, place: tuple[str | int, ...]) -> bytes:
    """The nonce, then `data` encrypted, then the tag; to be opened by the same key for the same place only."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, _bytes_of(place))


def decrypt(key: bytes, sealed: bytes, place: tuple[str | int, ...]) -> bytes:
    """What was encrypted. Raises cryptography's `InvalidTag` for another key or place, or when anything has changed."""
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bytes_of(place))


def _bytes_of(place: tuple[str | int, ...]) -> bytes:
    # As JSON, so that ("ab", "c") and ("a", "bc") differ.
    return json.dumps(place).encode()
