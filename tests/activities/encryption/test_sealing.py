"""What is sealed opens with its key, in its place, unchanged, and not otherwise."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.encryption.keys import DataKey, TenantKeys
from activities.encryption.sealing import HEADER, OVERHEAD, Sealer, is_sealed, key_number
from engross.errors import CorruptDocument, KeyUnavailable

DATA = b"the official copy"


class FixedKeys:
    """Keys from nowhere: `newest` of them for every tenant."""

    def __init__(self, newest: int = 1) -> None:
        self.newest = newest
        self._secrets: dict[tuple[str, int], bytes] = {}

    async def current(self, tenant: str) -> DataKey:
        return await self.get(tenant, self.newest)

    async def get(self, tenant: str, number: int) -> DataKey:
        if not 1 <= number <= self.newest:
            raise KeyUnavailable("no such key")
        return DataKey(tenant, number, self._secrets.setdefault((tenant, number), os.urandom(32)))


@given(st.binary(max_size=5000), st.text(max_size=50))
def test_what_is_sealed_comes_back(data: bytes, about: str) -> None:
    async def check() -> None:
        sealer = Sealer(FixedKeys())
        sealed = await sealer.seal("acme", data, about)
        assert len(sealed) == len(data) + OVERHEAD
        assert is_sealed(sealed)
        assert is_sealed(sealed[:HEADER])
        assert await sealer.unseal("acme", sealed, about) == data

    asyncio.run(check())


@given(st.binary(max_size=100))
def test_what_is_not_sealed_is_told_apart(data: bytes) -> None:
    assert not is_sealed(data)
    with pytest.raises(CorruptDocument):
        asyncio.run(Sealer(FixedKeys()).unseal("acme", data, ""))


async def test_no_byte_of_a_seal_can_be_changed_or_left_out() -> None:
    sealer = Sealer(FixedKeys(newest=2))
    sealed = await sealer.seal("acme", DATA, "here")
    for place in range(len(sealed)):
        for bit in (1, 128):
            forged = bytearray(sealed)
            forged[place] ^= bit
            with pytest.raises((CorruptDocument, KeyUnavailable)):
                await sealer.unseal("acme", bytes(forged), "here")
        with pytest.raises((CorruptDocument, KeyUnavailable)):
            await sealer.unseal("acme", sealed[:place], "here")
    with pytest.raises(CorruptDocument):
        await sealer.unseal("acme", sealed + b"\0", "here")


@pytest.mark.parametrize(("tenant", "about"), [("other", "here"), ("acme", "there"), ("acme", ""), ("acm", "ehere")])
async def test_a_seal_opens_in_its_place_only(tenant: str, about: str) -> None:
    sealer = Sealer(FixedKeys())
    sealed = await sealer.seal("acme", DATA, "here")

    with pytest.raises(CorruptDocument) as refused:
        await sealer.unseal(tenant, sealed, about)

    assert "\n" not in str(refused.value)


async def test_a_seal_opens_in_its_place_only_even_where_secrets_are_the_same() -> None:
    class Same:
        async def current(self, tenant: str) -> DataKey:
            return await self.get(tenant, 1)

        async def get(self, tenant: str, number: int) -> DataKey:
            return DataKey(tenant, number, b"k" * 32)

    sealed = await Sealer(Same()).seal("acme", DATA, "here")
    renumbered = sealed[: HEADER - 1] + b"\x02" + sealed[HEADER:]
    for tenant, data, about in (("other", sealed, "here"), ("acme", sealed, "there"), ("acme", renumbered, "here")):
        with pytest.raises(CorruptDocument):
            await Sealer(Same()).unseal(tenant, data, about)


async def test_old_keys_read_and_the_newest_one_seals(keys: TenantKeys) -> None:
    sealer = Sealer(keys)
    old = await sealer.seal("acme", DATA, "here")
    await keys.rotate("acme")
    new = await sealer.seal("acme", DATA, "here")

    assert (key_number(old), key_number(new)) == (1, 2)
    assert [await sealer.unseal("acme", each, "here") for each in (old, new)] == [DATA, DATA]


async def test_equal_bytes_never_look_equal() -> None:
    sealer = Sealer(FixedKeys())
    assert len({await sealer.seal("acme", DATA, "here") for _ in range(100)}) == 100
