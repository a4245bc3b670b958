"""The blob store in S3, on a real socket: what every store does, and what can be wrong with one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from moto.server import ThreadedMotoServer
from obstore.exceptions import AlreadyExistsError
from obstore.store import from_url

from activities.storage.blobs import BlobStore
from engross.contracts import BlobRef
from engross.errors import CorruptDocument, DocumentNotFound, ServiceUnavailable
from tests.workers.tls import Authority, tls_proxy

BUCKET: Final = "documents"
URL: Final = f"s3://{BUCKET}/engross"
REGION: Final = (
    "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server, without TLS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@asynccontextmanager
async def behind_tls(address: str, folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The server at `address` is the one to ask, by TLS, with a certificate of an authority of our own."""
    authority = Authority(folder)
    patch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with tls_proxy(address, authority, protocol="http/1.1") as proxy:
        patch.setenv("AWS_ENDPOINT_URL", f"https://{proxy.address}")
        yield


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/connections.md gives them."""
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def store(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BlobStore]:
    """One that is empty, in a bucket that is there."""
    async with behind_tls(address, tmp_path, monkeypatch), aiohttp.ClientSession(f"http://{address}") as session:
        async with session.post("/moto-api/reset") as answer:
            answer.raise_for_status()
        async with session.put(f"/{BUCKET}", data=REGION) as answer:
            answer.raise_for_status()
        yield BlobStore.open(URL)


async def test_what_is_put_is_got_found_listed_and_deleted(store: BlobStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    ref = await store.put("acme", b"content", "text/plain")
    other = await store.put("other", b"more")

    assert await store.get(ref) == b"content"
    found = await store.find("acme", ref.sha256)
    assert found is not None
    assert found.size == ref.size
    assert await store.find("other", ref.sha256) is None
    [listed] = [blob async for blob in store.list("acme")]
    assert (listed.tenant, listed.sha256, listed.stored_bytes) == ("acme", ref.sha256, 7)
    assert listed.modified >= before
    assert {blob.sha256 async for blob in store.list()} == {ref.sha256, other.sha256}
    assert await store.tenants() == ["acme", "other"]
    await store.check()

    assert await store.delete("acme", [ref.sha256], unless_newer=before) == 0
    assert await store.delete("acme", [ref.sha256, "0" * 64]) == 1
    assert await store.find("acme", ref.sha256) is None
    with pytest.raises(DocumentNotFound):
        await store.get(ref)


async def test_the_same_bytes_again_are_one_blob_and_damage_is_mended(store: BlobStore) -> None:
    ref = await store.put("acme", b"content")
    path = f"acme/{ref.sha256[:2]}/{ref.sha256}"
    raw = from_url(URL)
    with pytest.raises(AlreadyExistsError):  # what `put` relies on
        await raw.put_async(path, b"other", mode="create", use_multipart=False)
    assert await store.put("acme", b"content") == ref
    await raw.put_async(path, b"damaged")
    with pytest.raises(CorruptDocument):
        await store.get(ref)
    assert await store.put("acme", b"content") == ref
    assert await store.get(ref) == b"content"


async def test_more_blobs_than_a_page_of_the_listing(store: BlobStore) -> None:
    raw = from_url(URL)
    names = {f"{number:064x}" for number in range(1100)}
    await asyncio.gather(*(raw.put_async(f"acme/{name[:2]}/{name}", b"", use_multipart=False) for name in names))
    assert {blob.sha256 async for blob in store.list("acme")} == names


async def test_large_documents(store: BlobStore) -> None:
    data = bytes(range(256)) * 65_536  # 16 MiB
    assert await store.get(await store.put("acme", data)) == data


async def test_a_bucket_that_is_missing_is_named_with_the_fix(store: BlobStore) -> None:
    missing = BlobStore.open("s3://no-such-bucket/engross")
    ref = BlobRef(tenant="acme", sha256="0" * 64, size=1)
    for ask in (missing.check(), missing.put("acme", b"x")):
        with pytest.raises(ServiceUnavailable, match=r"no-such-bucket.*ENGROSS_BLOBS"):
            await ask
    with pytest.raises((ServiceUnavailable, DocumentNotFound)):
        await missing.get(ref)


class _Refusing(BaseHTTPRequestHandler):
    """Answers everything with `status`, as S3 does, and counts."""

    status = 403
    asked = 0

    def _answer(self) -> None:
        type(self).asked += 1
        code = "InvalidAccessKeyId" if self.status == 403 else "SlowDown"
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = _answer  # noqa: N815  # the names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
async def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[type[_Refusing]]:
    """A server that never does as it is asked."""
    handler = type("Handler", (_Refusing,), {"asked": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    async with behind_tls(f"127.0.0.1:{server.server_port}", tmp_path, monkeypatch):
        yield handler
    server.shutdown()
    server.server_close()


async def test_wrong_credentials_are_told_at_once(refusing: type[_Refusing]) -> None:
    with pytest.raises(ServiceUnavailable, match="ENGROSS_BLOBS") as caught:
        await BlobStore.open(URL).put("acme", b"secret content")
    assert refusing.asked == 1
    assert "\n" not in str(caught.value)
    assert "secret content" not in str(caught.value)


async def test_a_server_in_trouble_is_asked_again_a_few_times(refusing: type[_Refusing]) -> None:
    refusing.status = 503
    with pytest.raises(ServiceUnavailable):
        await BlobStore.open(URL).put("acme", b"x")
    assert 2 <= refusing.asked <= 4


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
    with pytest.raises(ServiceUnavailable, match="ENGROSS_BLOBS"):
        await BlobStore.open(URL).check()


async def test_a_store_without_tls_is_spoken_to_where_that_is_allowed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As inside a cluster."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
    with pytest.raises(ServiceUnavailable):
        await BlobStore.open(URL).check()
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    async with aiohttp.ClientSession() as session, session.put(f"http://{address}/{BUCKET}", data=REGION) as answer:
        assert answer.status in (HTTPStatus.OK, HTTPStatus.CONFLICT)  # another test may have made it
    store = BlobStore.open(URL)
    ref = await store.put("acme", b"clear")
    assert await store.get(ref) == b"clear"
