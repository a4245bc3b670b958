"""How master keys wrap data keys, and what is known of one tenant's."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag

from activities.encryption.gcm import decrypt, encrypt
from activities.encryption.tables import KeyRow, KeyState
from engross.errors import KeyUnavailable, TenantErased
from engross.keyring import KEY_BYTES

_PURPOSE: Final = "engross data key"


@dataclass(frozen=True)
class DataKey:
    """A key that encrypts what belongs to `tenant`; `number` counts from 1, `secret` is 32 bytes."""

    tenant: str
    number: int
    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Its name beside what it encrypts: `acme.1`."""
        return f"{self.tenant}.{self.number}"


class Masters:
    """The master keys by id. The first wraps, all of them unwrap."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self.first = next(iter(self._keys))

    def made(self, tenant: str, number: int) -> bytes:
        """A new data key, wrapped by the first master key."""
        return self._wrapped(DataKey(tenant, number, secrets.token_bytes(KEY_BYTES)))

    def rewrapped(self, row: KeyRow) -> bytes:
        """The same data key, wrapped by the first master key. Raises `KeyUnavailable`."""
        return self._wrapped(self.unwrapped(row))

    def unwrapped(self, row: KeyRow) -> DataKey:
        """The data key of a row. Raises `TenantErased` when it is destroyed, `KeyUnavailable` without its master."""
        if row.wrapped is None:
            raise _erased(row.tenant)
        master, name = self._keys.get(row.master_id), f"{row.tenant}.{row.number}"
        if master is None:
            raise KeyUnavailable(
                f"data key {name} needs master key {row.master_id}: add it to ENGROSS_ENCRYPTION_KEYS, behind the first"
            )
        try:
            return DataKey(row.tenant, row.number, decrypt(master, row.wrapped, _place(row)))
        except InvalidTag:
            raise KeyUnavailable(
                f"master key {row.master_id} in ENGROSS_ENCRYPTION_KEYS is not the one that wraps data key {name}:"
                " put the right one back"
            ) from None

    def _wrapped(self, key: DataKey) -> bytes:
        return encrypt(self._keys[self.first], key.secret, (_PURPOSE, key.tenant, key.number))


@dataclass(frozen=True)
class Ring:
    """The data keys of one tenant as they were found in the database; never without any."""

    tenant: str
    rows: Mapping[int, KeyRow]
    masters: Masters
    secrets: dict[int, DataKey] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: Sequence[KeyRow], masters: Masters) -> "Ring":
        return cls(rows[0].tenant, {row.number: row for row in rows}, masters)

    def current(self) -> DataKey:
        """The one that encrypts. Raises `TenantErased`, `KeyUnavailable`."""
        return self.key(max(self.rows))

    def key(self, number: int) -> DataKey:
        """The one of that number. Raises `TenantErased`, `KeyUnavailable`."""
        # One tombstone is enough: a key that somebody made at the same moment must not bring the tenant back.
        if any(row.state is KeyState.DESTROYED for row in self.rows.values()):
            raise _erased(self.tenant)
        if number not in self.rows:
            raise KeyUnavailable(
                f"data key {self.tenant}.{number} is not in the result store: restore its table tenant_keys"
            )
        if number not in self.secrets:
            self.secrets[number] = self.masters.unwrapped(self.rows[number])
        return self.secrets[number]


def _place(row: KeyRow) -> tuple[str | int, ...]:
    return _PURPOSE, row.tenant, row.number


def _erased(tenant: str) -> TenantErased:
    return TenantErased(f"tenant {tenant} was erased: its keys are destroyed, and nothing can be kept under its name")
