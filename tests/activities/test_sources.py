"""Documents come from uploads and allowed folders, and from nowhere else."""

from pathlib import Path

import pytest

from activities.sources import Sources
from engross.contracts import DocumentSource
from engross.errors import DocumentNotFound, DocumentTooLarge, EngrossError, InvalidRequest, SourceRefused
from tests.activities.fakes import MemoryBlobs

LIMIT_MB = 1


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "inbox"


def sources(inbox: Path) -> Sources:
    return Sources(blobs=MemoryBlobs(), roots=[inbox], max_mb=LIMIT_MB)


async def refusal(inbox: Path, uri: str) -> type[EngrossError]:
    with pytest.raises(EngrossError) as caught:
        await sources(inbox).read(DocumentSource(uri=uri), "acme")
    return type(caught.value)


@pytest.mark.parametrize("name", ["a.txt", "with space.txt", "üñí.txt", "new\nline.txt", "100%.txt"])
async def test_a_file_below_a_root_is_ingested(inbox: Path, name: str) -> None:
    (inbox / name).write_text("hello")
    reader = sources(inbox)
    ref, data = await reader.read(DocumentSource(uri=(inbox / name).as_uri()), "acme")
    assert data == b"hello"
    assert await reader.blobs.get(ref) == b"hello"


async def test_an_upload_is_read_back_for_its_own_tenant_only(inbox: Path) -> None:
    reader = sources(inbox)
    ref = await reader.blobs.put("acme", b"hello")
    assert await reader.read(DocumentSource(uri=f"blob:{ref.sha256}"), "acme") == (
        await reader.blobs.find("acme", ref.sha256),
        b"hello",
    )
    with pytest.raises(DocumentNotFound):
        await reader.read(DocumentSource(uri=f"blob:{ref.sha256}"), "other")


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("file://{inbox}/../secret.txt", SourceRefused),
        ("file://{inbox}/%2e%2e/secret.txt", SourceRefused),
        ("file://{inbox}/link", SourceRefused),
        ("file://{inbox}", SourceRefused),
        ("file://otherhost/etc/passwd", SourceRefused),
        ("file://{inbox}/a%00b", SourceRefused),
        ("file://{inbox}/missing", DocumentNotFound),
        ("http://127.0.0.1/x", SourceRefused),
        ("/etc/passwd", SourceRefused),
        ("blob:../../secret", InvalidRequest),
    ],
)
async def test_everything_else_is_refused(inbox: Path, uri: str, kind: type[EngrossError]) -> None:
    (inbox / "link").symlink_to(inbox.parent / "secret.txt")
    assert await refusal(inbox, uri.format(inbox=inbox)) is kind


async def test_a_document_over_the_limit_is_named(inbox: Path) -> None:
    (inbox / "big").write_bytes(b"x" * (LIMIT_MB * 1_000_000 + 1))
    assert await refusal(inbox, (inbox / "big").as_uri()) is DocumentTooLarge
