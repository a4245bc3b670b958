"""Bytes by content hash, on a disk, in memory or in an object store, through obstore."""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from activities.storage.known_files import KnownFiles
from engross.contracts import BlobRef
from engross.errors import ConfigurationError, CorruptDocument, DocumentNotFound, InvalidRequest, ServiceUnavailable
from engross.names import is_name

_CLOUD: Final = ("s3", "gs")
_SCHEMES: Final = ("file", "memory", *_CLOUD)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN_DIGITS: Final = 12
# Not a tenant's name, so the probe never meets a document.
_PROBE: Final = "_check"


class BlobStore:
    """A content-addressed store. What `put` has returned a reference to survives a crash and is never changed."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store = store
        self._url = url
        # Object stores are durable when they answer; obstore's file store leaves syncing to us.
        folder = store.prefix if isinstance(store, LocalStore) else None
        self._files = None if folder is None else KnownFiles(Path(folder))

    @classmethod
    def open(cls, url: str) -> "BlobStore":
        """The store at `file:///folder` (created when missing), `memory:///`, `s3://bucket/prefix`, `gs://bucket/prefix`.

        Raises `ConfigurationError` when `url` is none of these, `ServiceUnavailable` when the folder can't be made.
        """
        scheme = urlsplit(url).scheme
        if scheme not in _SCHEMES:
            raise ConfigurationError(
                f"ENGROSS_BLOBS: {url!r} is no blob store; use file:///..., s3://bucket/prefix or gs://bucket/prefix"
            )
        with _translated(url):
            if scheme in _CLOUD:
                # obstore retries for minutes by default; the caller, usually an activity, has its own retries.
                return cls(
                    from_url(
                        url,
                        client_options={"connect_timeout": "5s", "timeout": "60s"},
                        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=60)},
                    ),
                    url,
                )
            return cls(from_url(url, mkdir=True) if scheme == "file" else from_url(url), url)

    async def put(self, tenant: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """Keeps `data` and returns its reference, once it is safe against a crash of the machine.

        Putting the same bytes again is free of harm: what is there is verified and kept, or replaced when it is
        damaged. What this process has put before and nobody has changed is known to be safe. Raises
        `ServiceUnavailable`.
        """
        ref = BlobRef(tenant=tenant, sha256=hashlib.sha256(data).hexdigest(), size=len(data), media_type=media_type)
        key = _key(tenant, ref.sha256)
        if self._files is not None and self._files.is_durable(key):
            return ref
        with _translated(self._url):
            new = await self._write(ref, key, data)
            if self._files is not None:
                await asyncio.to_thread(self._files.flush, key, new=new)
                self._files.keep(key, data, self._files.state(key), durable=True)
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """The bytes behind `ref`, verified, or as they were verified before if the file has not changed since.

        Raises `DocumentNotFound` when there are none, `CorruptDocument` when they are not the ones that were put,
        `ServiceUnavailable`.
        """
        key, state = _key(ref.tenant, ref.sha256), None
        if self._files is not None:
            known = self._files.data(key)
            if known is not None and len(known) == ref.size:
                return known
            state = self._files.state(key)
        data = await self._read(ref, key)
        if self._files is not None:
            self._files.keep(key, data, state, durable=False)
        return data

    async def find(self, tenant: str, sha256: str) -> BlobRef | None:
        """The reference to `tenant`'s blob with that hash; None when there is none. Raises `ServiceUnavailable`."""
        if not is_name(tenant) or not _SHA256.fullmatch(sha256):
            return None
        with _translated(self._url):
            try:
                meta = await self._store.head_async(_key(tenant, sha256))
            except FileNotFoundError:
                return None
        return BlobRef(tenant=tenant, sha256=sha256, size=meta["size"])

    async def check(self) -> None:
        """Raises `ServiceUnavailable` with the fix unless the store can be written to."""
        with _translated(self._url):
            await self._store.put_async(_PROBE, b"engross", use_multipart=False)

    async def _write(self, ref: BlobRef, key: str, data: bytes) -> bool:
        """Whether it had to be written."""
        try:
            await self._store.put_async(key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if await self._is_whole(ref):
                return False
            await self._store.put_async(key, data, mode="overwrite", use_multipart=False)
        return True

    async def _read(self, ref: BlobRef, key: str) -> bytes:
        shown = ref.sha256[:_SHOWN_DIGITS]
        with _translated(self._url):
            try:
                found = await self._store.get_async(key)
                size = found.meta["size"]
                data = bytes(await found.bytes_async()) if size == ref.size else b""
            except FileNotFoundError:
                raise DocumentNotFound(f"blob {shown} is not in the blob store; submit the document again") from None
        if size != ref.size or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CorruptDocument(f"blob {shown} is damaged in the blob store; submit the document again")
        return data

    async def _is_whole(self, ref: BlobRef) -> bool:
        try:
            await self.get(ref)
        except CorruptDocument:
            return False
        return True


def _key(tenant: str, sha256: str) -> str:
    if not is_name(tenant) or not _SHA256.fullmatch(sha256):
        raise InvalidRequest("a blob reference needs a tenant's name and a SHA-256 in lower-case hexadecimal")
    return f"{tenant}/{sha256[:2]}/{sha256}"


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        # The first line says what happened; the rest is obstore's own internals.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ServiceUnavailable(
            f"blob store {url} does not work: {reason}; check that it can be written to, or set ENGROSS_BLOBS"
        ) from error
