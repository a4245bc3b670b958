"""What is put is on the disk, folders included, and what is known is known only while nobody changes it."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from activities.storage import BlobStore
from activities.storage.known_files import KnownFiles
from engross.contracts import BlobRef
from engross.errors import DocumentNotFound

HALF_A_MEGABYTE = 512 * 1024


def path_of(folder: Path, ref: BlobRef) -> Path:
    return folder / ref.tenant / ref.sha256[:2] / ref.sha256


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that were flushed to the disk, in order."""
    inodes: list[int] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        fsync(handle)
        inodes.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", noting)
    return inodes


def inodes(*paths: Path) -> list[int]:
    return [path.stat().st_ino for path in paths]


def taken(flushed: list[int]) -> list[int]:
    """What was flushed since the last look."""
    seen = list(flushed)
    flushed.clear()
    return seen


def data_with_prefix(prefix: str, but: bytes = b"") -> bytes:
    """Bytes whose hash starts with `prefix`, and which are not `but`."""
    tries = (str(number).encode() for number in range(100_000))
    return next(data for data in tries if data != but and hashlib.sha256(data).hexdigest().startswith(prefix))


async def test_a_folder_is_flushed_up_to_the_root_when_it_is_new_and_alone_afterwards(
    tmp_path: Path, flushed: list[int]
) -> None:
    store, first = BlobStore.open(tmp_path.as_uri()), data_with_prefix("aa")
    ref = await store.put("acme", first)
    leaf, tenant = tmp_path / "acme" / "aa", tmp_path / "acme"
    assert taken(flushed) == inodes(path_of(tmp_path, ref), leaf, tenant, tmp_path)

    ref = await store.put("acme", data_with_prefix("aa", but=first))
    assert taken(flushed) == inodes(path_of(tmp_path, ref), leaf)

    ref = await store.put("acme", data_with_prefix("ab"))
    assert taken(flushed) == inodes(path_of(tmp_path, ref), tmp_path / "acme" / "ab", tenant)

    ref = await store.put("other", first)
    assert taken(flushed) == inodes(path_of(tmp_path, ref), tmp_path / "other" / "aa", tmp_path / "other", tmp_path)


async def test_a_folder_that_was_made_again_is_flushed_as_a_new_one(tmp_path: Path, flushed: list[int]) -> None:
    store, first = BlobStore.open(tmp_path.as_uri()), data_with_prefix("aa")
    await store.put("acme", first)
    shutil.move(tmp_path / "acme", tmp_path / "away")  # its inodes stay taken
    taken(flushed)

    ref = await store.put("acme", first)
    tenant = tmp_path / "acme"
    assert taken(flushed) == inodes(path_of(tmp_path, ref), tenant / "aa", tenant, tmp_path)


async def test_what_was_put_here_before_is_not_written_or_flushed_again(tmp_path: Path, flushed: list[int]) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", b"a prompt")
    before = path_of(tmp_path, ref).stat()
    taken(flushed)

    assert await store.put("acme", b"a prompt") == ref
    assert (taken(flushed), path_of(tmp_path, ref).stat().st_ino) == ([], before.st_ino)


async def test_what_was_only_read_here_is_flushed_when_it_is_put(tmp_path: Path, flushed: list[int]) -> None:
    ref = await BlobStore.open(tmp_path.as_uri()).put("acme", b"a prompt")
    store = BlobStore.open(tmp_path.as_uri())  # another process, as it were: the one that wrote it may have crashed
    await store.get(ref)
    await store.get(ref)
    taken(flushed)

    await store.put("acme", b"a prompt")
    assert path_of(tmp_path, ref).stat().st_ino in taken(flushed)


async def test_what_is_too_large_to_keep_is_still_known_to_be_safe_once_read(
    tmp_path: Path, flushed: list[int]
) -> None:
    store, data = BlobStore.open(tmp_path.as_uri()), b"x" * (HALF_A_MEGABYTE + 1)
    ref = await store.put("acme", data)
    assert await store.get(ref) == data
    taken(flushed)

    await store.put("acme", data)
    assert taken(flushed) == []


async def test_what_was_removed_is_missed_and_put_again(tmp_path: Path) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", b"a prompt")
    path_of(tmp_path, ref).unlink()

    with pytest.raises(DocumentNotFound):
        await store.get(ref)

    await store.put("acme", b"a prompt")
    assert path_of(tmp_path, ref).read_bytes() == b"a prompt"


async def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", b"a prompt")
    change_unseen(path_of(tmp_path, ref), b"A PROMPT")

    assert await store.get(ref) == b"a prompt"


def change_unseen(path: Path, data: bytes) -> None:
    """Other bytes of the same length, and the times of before: nothing in the file's entry tells."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_one_tenant_never_gets_what_another_put(tmp_path: Path) -> None:
    store = BlobStore.open(tmp_path.as_uri())
    ref = await store.put("acme", b"a prompt")
    await store.get(ref)

    with pytest.raises(DocumentNotFound):
        await store.get(ref.model_copy(update={"tenant": "other"}))


def test_a_change_in_the_tick_of_the_writing_is_seen(tmp_path: Path) -> None:
    known, file = KnownFiles(tmp_path), tmp_path / "file"
    for _ in range(50):
        file.write_bytes(b"before")
        known.flush("file", new=True)
        known.keep("file", b"before", known.state("file"), durable=True)
        file.write_bytes(b"beyond")
        assert known.data("file") is None


def test_a_file_of_this_moment_is_not_known_from_reading_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    known = KnownFiles(tmp_path)
    known.keep("file", b"before", known.state("file"), durable=False)
    assert known.data("file") is None


def test_memory_is_bounded_and_the_least_used_goes_first(tmp_path: Path) -> None:
    known, data = KnownFiles(tmp_path), b"x" * HALF_A_MEGABYTE

    def keep(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        known.flush(name, new=True)
        known.keep(name, content, known.state(name), durable=True)

    for number in range(31):
        keep(str(number), data)
    assert known.data("0") == data
    for number in range(31, 41):
        keep(str(number), data)
    held = [number for number in range(41) if known.data(str(number)) is not None]
    assert held == [0, *range(11, 41)]
    keep("large", data + b"x")
    assert (known.data("large"), known.is_durable("large")) == (None, True)
