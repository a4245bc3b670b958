"""Bytes under a tenant's key: what is sealed says by itself which key opens it."""

import struct
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag

from activities.encryption.gcm import NONCE_BYTES, TAG_BYTES, decrypt, encrypt
from activities.encryption.wrapping import DataKey
from engross.errors import CorruptDocument

_PURPOSE: Final = "engross sealed"
# As PNG does: nothing that is text begins so, and what a transfer as text damages is noticed.
_MAGIC: Final = b"\x8bENG\r\n\x1a\x01"
_HEADER: Final = struct.Struct(f">{len(_MAGIC)}sI")

HEADER: Final = _HEADER.size
"""How many bytes `is_sealed` needs to see."""
OVERHEAD: Final = _HEADER.size + NONCE_BYTES + TAG_BYTES
"""By how many bytes what is sealed is longer than it was."""


class Keys(Protocol):
    """Where a sealer gets keys; both raise `TenantErased`, `KeyUnavailable` and `ServiceUnavailable`."""

    async def current(self, tenant: str) -> DataKey: ...

    async def get(self, tenant: str, number: int) -> DataKey: ...


class Sealer:
    """Seals and opens bytes of tenants. `about` ties a seal to one place: the hash of a blob, the name of an entry."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def seal(self, tenant: str, data: bytes, about: str) -> bytes:
        """`data` under the current key of `tenant`; it is `OVERHEAD` bytes longer."""
        key = await self._keys.current(tenant)
        return sealed_by(key, data, about)

    async def unseal(self, tenant: str, data: bytes, about: str) -> bytes:
        """What was sealed for `tenant` and `about`.

        Raises `CorruptDocument` when it was not, or has changed since; `TenantErased`, `KeyUnavailable`.
        """
        if not is_sealed(data):
            raise CorruptDocument(f"what tenant {tenant} is said to have encrypted is not encrypted by Engross")
        key = await self._keys.get(tenant, key_number(data))
        try:
            return decrypt(key.secret, data[HEADER:], _place(key, about))
        except InvalidTag:
            raise CorruptDocument(f"what is encrypted by data key {key.id} is damaged, or was moved") from None


def sealed_by(key: DataKey, data: bytes, about: str) -> bytes:
    """`data` under that very key."""
    return _HEADER.pack(_MAGIC, key.number) + encrypt(key.secret, data, _place(key, about))


def is_sealed(data: bytes) -> bool:
    """Whether `data`, or the first `HEADER` bytes of it, look like something sealed."""
    return data.startswith(_MAGIC) and len(data) >= HEADER


def key_number(sealed: bytes) -> int:
    """The number of the key that opens what is sealed."""
    number: int = _HEADER.unpack_from(sealed)[1]
    return number


def _place(key: DataKey, about: str) -> tuple[str | int, ...]:
    return _PURPOSE, key.tenant, key.number, about
