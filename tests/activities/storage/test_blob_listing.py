"""What is in a blob store, how it is deleted, and how what is put again escapes that."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.storage import BlobStore
from engross.contracts import BlobRef
from engross.errors import DocumentNotFound, InvalidRequest

DATA = b"the official copy"
DAY = 24 * 3600


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BlobStore.open("memory:///" if request.param == "memory" else (tmp_path / "blobs").as_uri())


async def hashes(store: BlobStore, tenant: str | None = None) -> set[tuple[str, str, int]]:
    return {(each.tenant, each.sha256, each.stored_bytes) async for each in store.list(tenant)}


def seen(*refs: BlobRef) -> set[tuple[str, str, int]]:
    return {(ref.tenant, ref.sha256, ref.size) for ref in refs}


async def test_blobs_are_listed_by_tenant(store: BlobStore) -> None:
    assert await hashes(store) == set()
    assert list(await store.tenants()) == []
    one, two = await store.put("acme", DATA), await store.put("acme", b"")
    other = await store.put("acme-2", DATA)
    await store.check()  # leaves a probe that is no blob

    assert await hashes(store, "acme") == seen(one, two)
    assert await hashes(store) == seen(one, two, other)
    assert await hashes(store, "nobody") == set()
    assert list(await store.tenants()) == ["acme", "acme-2"]
    (found,) = [each async for each in store.list("acme-2")]
    assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=5)


async def test_many_blobs_are_all_listed_and_deleted(store: BlobStore) -> None:
    refs = await asyncio.gather(*(store.put("acme", str(n).encode()) for n in range(100)))
    assert await hashes(store) == seen(*refs)

    assert await store.delete("acme", [ref.sha256 for ref in refs[:70]]) == 70

    assert await hashes(store) == seen(*refs[70:])


async def test_a_deleted_blob_is_gone_for_who_knew_it(store: BlobStore) -> None:
    ref = await store.put("acme", DATA)
    other = await store.put("other", DATA)

    assert await store.delete("acme", [ref.sha256, "0" * 64]) == 1
    assert await store.delete("acme", [ref.sha256]) == 0

    with pytest.raises(DocumentNotFound):
        await store.get(ref)
    assert await store.get(other) == DATA
    await store.put("acme", DATA)
    assert await store.get(ref) == DATA


async def test_what_is_newer_than_the_list_is_spared(store: BlobStore) -> None:
    ref = await store.put("acme", DATA)
    now = datetime.now(UTC)

    assert await store.delete("acme", [ref.sha256], unless_newer=now - timedelta(hours=1)) == 0
    assert await store.get(ref) == DATA
    assert await store.delete("acme", [ref.sha256], unless_newer=now + timedelta(hours=1)) == 1


@pytest.mark.parametrize("sha256", ["", "../x", "A" * 64])
async def test_only_blobs_can_be_deleted(store: BlobStore, sha256: str) -> None:
    with pytest.raises(InvalidRequest):
        await store.delete("acme", [sha256])


@pytest.mark.parametrize("known", [True, False], ids=["put by this process", "put by another"])
async def test_an_old_blob_that_is_put_again_is_new(tmp_path: Path, known: bool) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", DATA)
    path = tmp_path / "acme" / ref.sha256[:2] / ref.sha256
    inode = path.stat().st_ino
    if known:
        # As if two days had passed since: the file that this process knows, with its time.
        assert store._files is not None
        _age(path, 2 * DAY)
        store._files.keep(f"acme/{ref.sha256[:2]}/{ref.sha256}", DATA, _state(path), durable=True)
    else:
        _age(path, 2 * DAY)
        store = BlobStore.open(tmp_path.as_uri())

    await store.put("acme", DATA)

    assert time.time() - path.stat().st_mtime < DAY / 2
    assert path.stat().st_ino == inode
    assert await store.get(ref) == DATA


async def test_a_young_blob_keeps_its_time(tmp_path: Path) -> None:
    ref = await BlobStore.open(tmp_path.as_uri()).put("acme", DATA)
    path = tmp_path / "acme" / ref.sha256[:2] / ref.sha256
    _age(path, DAY / 2)
    before = path.stat().st_mtime_ns

    await BlobStore.open(tmp_path.as_uri()).put("acme", DATA)

    assert path.stat().st_mtime_ns == before


async def test_an_old_blob_in_an_object_store_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore.open("memory:///")
    await store.put("acme", DATA)
    (before,) = [each async for each in store.list()]

    await store.put("acme", DATA)
    assert [each async for each in store.list()] == [before]
    monkeypatch.setattr("activities.storage.blobs._YOUNG_SECONDS", -1.0)
    await store.put("acme", DATA)

    (after,) = [each async for each in store.list()]
    assert after.modified > before.modified


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
