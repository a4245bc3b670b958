import asyncio
import hashlib
from pathlib import Path

import pytest

from activities.storage import BlobStore
from engross.contracts import BlobRef
from engross.errors import ConfigurationError, CorruptDocument, DocumentNotFound, InvalidRequest, ServiceUnavailable

DATA = b"the official copy"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BlobStore.open("memory:///" if request.param == "memory" else (tmp_path / "a b" / "blobs").as_uri())


def path_of(folder: Path, ref: BlobRef) -> Path:
    return folder / ref.tenant / ref.sha256[:2] / ref.sha256


async def test_bytes_come_back_as_they_were_put(store: BlobStore) -> None:
    ref = await store.put("acme", DATA, media_type="text/plain")

    assert ref == BlobRef(tenant="acme", sha256=SHA256, size=len(DATA), media_type="text/plain")
    assert await store.get(ref) == DATA


async def test_empty_blobs_are_blobs(store: BlobStore) -> None:
    assert await store.get(await store.put("acme", b"")) == b""


async def test_putting_the_same_bytes_many_times_at_once_gives_one_blob(store: BlobStore) -> None:
    refs = await asyncio.gather(*(store.put("acme", DATA) for _ in range(20)))

    assert set(refs) == {refs[0]}
    assert await store.get(refs[0]) == DATA


async def test_find_tells_whether_a_tenant_has_a_blob(store: BlobStore) -> None:
    await store.put("acme", DATA)

    assert await store.find("acme", SHA256) == BlobRef(tenant="acme", sha256=SHA256, size=len(DATA))
    assert await store.find("other", SHA256) is None
    assert await store.find("acme", "0" * 64) is None


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", SHA256.upper(), SHA256 + "\n"])
async def test_a_hash_that_is_none_finds_nothing(store: BlobStore, sha256: str) -> None:
    assert await store.find("acme", sha256) is None


async def test_a_missing_blob_is_named_by_its_hash(store: BlobStore) -> None:
    with pytest.raises(DocumentNotFound, match=SHA256[:12]):
        await store.get(BlobRef(tenant="acme", sha256=SHA256, size=1))


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "ACME"])
async def test_a_tenant_cannot_leave_its_folder(store: BlobStore, tenant: str) -> None:
    with pytest.raises(InvalidRequest):
        await store.put(tenant, DATA)


@pytest.mark.parametrize("tampered", [b"the official cOpy", b"the official", b""])
async def test_a_tampered_blob_is_refused_and_putting_it_again_mends_it(tmp_path: Path, tampered: bytes) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", DATA)
    path_of(tmp_path, ref).write_bytes(tampered)

    with pytest.raises(CorruptDocument, match=SHA256[:12]):
        await store.get(ref)

    await store.put("acme", DATA)
    assert await store.get(ref) == DATA


async def test_the_blob_is_on_disk_under_its_hash(tmp_path: Path) -> None:
    ref = await BlobStore.open(tmp_path.as_uri()).put("acme", DATA)

    assert path_of(tmp_path, ref).read_bytes() == DATA


@pytest.mark.parametrize("url", ["", "blobs", "ftp://host/x", "http://host/x"])
def test_an_address_that_is_no_blob_store_names_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_BLOBS"):
        BlobStore.open(url)


async def test_check_passes_on_a_store_that_can_be_written_to(store: BlobStore) -> None:
    await store.check()


def test_a_folder_that_cannot_be_made_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ServiceUnavailable, match="ENGROSS_BLOBS") as refused:
        BlobStore.open((tmp_path / "file" / "blobs").as_uri())

    assert "\n" not in str(refused.value)


async def test_a_store_that_went_away_fails_its_check(tmp_path: Path) -> None:
    store = BlobStore.open((tmp_path / "blobs").as_uri())
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("in the way")

    with pytest.raises(ServiceUnavailable, match="ENGROSS_BLOBS"):
        await store.check()
