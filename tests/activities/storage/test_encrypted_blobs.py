"""Blobs under the keys of their tenants, beside clear ones from before."""

import hashlib
import os
from pathlib import Path

import pytest

from activities.encryption.keys import TenantKeys
from activities.encryption.sealing import OVERHEAD, Sealer, is_sealed
from activities.storage import BlobStore
from engross.contracts import BlobRef
from engross.errors import CorruptDocument, KeyUnavailable, TenantErased

DATA = b"the official copy"
LOOKS_SEALED = b"\x8bENG\r\n\x1a\x01" + b"looks sealed" * 9
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def keys(tmp_path: Path) -> TenantKeys:
    return TenantKeys({"k1": os.urandom(32)}, f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:///" if request.param == "memory" else (tmp_path / "blobs").as_uri()


@pytest.fixture
def sealed(url: str, keys: TenantKeys) -> BlobStore:
    return BlobStore.open(url, Sealer(keys))


def clear_of(store: BlobStore) -> BlobStore:
    """The same place as a process without keys sees it."""
    return BlobStore(store._store, store._url)


def again_of(store: BlobStore) -> BlobStore:
    """The same place as another process with the same keys sees it."""
    return BlobStore(store._store, store._url, store._sealer)


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "blobs" / "acme" / SHA256[:2] / SHA256


@pytest.mark.parametrize("data", [DATA, b"", b"x" * 300_000, LOOKS_SEALED])
async def test_what_is_put_is_encrypted_and_comes_back(sealed: BlobStore, data: bytes) -> None:
    ref = await sealed.put("acme", data)

    assert ref == BlobRef(tenant="acme", sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert await again_of(sealed).get(ref) == data
    assert await sealed.find("acme", ref.sha256) == ref
    (stored,) = [each async for each in sealed.list("acme")]
    assert stored.stored_bytes == len(data) + OVERHEAD


async def test_the_file_is_encrypted(tmp_path: Path, keys: TenantKeys) -> None:
    await BlobStore.open((tmp_path / "blobs").as_uri(), Sealer(keys)).put("acme", DATA)

    stored = file_of(tmp_path).read_bytes()
    assert is_sealed(stored)
    assert DATA not in stored


@pytest.mark.parametrize("data", [DATA, b""])
async def test_clear_blobs_stay_readable_and_are_encrypted_when_put_again(sealed: BlobStore, data: bytes) -> None:
    ref = await clear_of(sealed).put("acme", data)
    assert await sealed.get(ref) == data
    assert await sealed.find("acme", ref.sha256) == ref

    assert await sealed.put("acme", data) == ref

    (stored,) = [each async for each in sealed.list("acme")]
    assert stored.stored_bytes == len(data) + OVERHEAD
    assert await again_of(sealed).get(ref) == data


async def test_a_clear_blob_that_looks_encrypted_is_read_as_it_is(sealed: BlobStore) -> None:
    ref = await clear_of(sealed).put("acme", LOOKS_SEALED)

    assert await clear_of(sealed).get(ref) == LOOKS_SEALED
    assert await sealed.get(ref) == LOOKS_SEALED


async def test_putting_again_keeps_the_encrypted_one(sealed: BlobStore, keys: TenantKeys) -> None:
    await sealed.put("acme", DATA)
    (before,) = [each async for each in sealed.list("acme")]
    await keys.rotate("acme")

    await again_of(sealed).put("acme", DATA)

    assert [each async for each in sealed.list("acme")] == [before]


async def test_old_keys_still_read(sealed: BlobStore, keys: TenantKeys) -> None:
    old = await sealed.put("acme", DATA)
    await keys.rotate("acme")
    new = await sealed.put("acme", b"another")

    assert [await again_of(sealed).get(each) for each in (old, new)] == [DATA, b"another"]


@pytest.mark.parametrize("place", [0, 20, -1])
async def test_a_damaged_blob_is_refused_and_putting_it_again_mends_it(
    tmp_path: Path, keys: TenantKeys, place: int
) -> None:
    store = BlobStore.open((tmp_path / "blobs").as_uri(), Sealer(keys))
    ref = await store.put("acme", DATA)
    stored = bytearray(file_of(tmp_path).read_bytes())
    stored[place] ^= 1
    file_of(tmp_path).write_bytes(stored)

    with pytest.raises(CorruptDocument, match=SHA256[:12]):
        await store.get(ref)

    await store.put("acme", DATA)
    assert await store.get(ref) == DATA


async def test_a_blob_of_another_tenant_is_not_taken_for_ours(tmp_path: Path, keys: TenantKeys) -> None:
    store = BlobStore.open((tmp_path / "blobs").as_uri(), Sealer(keys))
    await store.put("acme", DATA)
    await keys.current("other")
    file_of(tmp_path).parent.parent.rename(tmp_path / "blobs" / "other")

    with pytest.raises(CorruptDocument):
        await store.get(BlobRef(tenant="other", sha256=SHA256, size=len(DATA)))


async def test_without_keys_an_encrypted_blob_says_what_to_set(sealed: BlobStore) -> None:
    ref = await sealed.put("acme", DATA)

    with pytest.raises(KeyUnavailable, match="ENGROSS_ENCRYPTION_KEYS"):
        await clear_of(sealed).get(ref)
    with pytest.raises(KeyUnavailable):
        await clear_of(sealed).put("acme", DATA)  # never replaced by a clear one
    assert await sealed.get(ref) == DATA


async def test_nothing_of_an_erased_tenant_is_read_or_written(sealed: BlobStore, keys: TenantKeys) -> None:
    ref = await sealed.put("acme", DATA)
    await keys.destroy("acme")

    with pytest.raises(TenantErased):
        await again_of(sealed).get(ref)
    with pytest.raises(TenantErased):
        await again_of(sealed).put("acme", DATA)
