"""Bytes by content hash, on a disk, in memory or in an object store, through obstore."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from activities.encryption.sealing import HEADER, OVERHEAD, Sealer, is_sealed
from activities.storage.blob_listing import StoredBlob, blob_path, delete_all, is_blob, owners, stored_blobs
from activities.storage.known_files import KnownFiles
from engross.contracts import BlobRef
from engross.errors import ConfigurationError, CorruptDocument, DocumentNotFound, KeyUnavailable, ServiceUnavailable

_CLOUD: Final = ("s3", "gs")
_SCHEMES: Final = ("file", "memory", *_CLOUD)
_SHOWN_DIGITS: Final = 12
# What is put again is made new when it is older than this, so that it is not deleted as what nobody needs.
_YOUNG_SECONDS: Final = 24 * 3600.0
# Not a tenant's name, so the probe never meets a document.
_PROBE: Final = "_check"


class BlobStore:
    """A content-addressed store. What `put` has returned a reference to survives a crash and is never changed.

    With a sealer, what is put is encrypted. Blobs from before stay readable, and are encrypted when they are put again.
    Names of blobs are hashes of their clear contents. What touches encrypted blobs raises `TenantErased` and
    `KeyUnavailable` besides.
    """

    def __init__(self, store: ObjectStore, url: str, sealer: Sealer | None = None) -> None:
        self._store = store
        self._url = url
        self._sealer = sealer
        # Object stores are durable when they answer; obstore's file store leaves syncing to us.
        folder = store.prefix if isinstance(store, LocalStore) else None
        self._files = None if folder is None else KnownFiles(Path(folder))

    @classmethod
    def open(cls, url: str, sealer: Sealer | None = None) -> "BlobStore":
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
                        client_options={"connect_timeout": "5s", "timeout": "60s", "allow_http": _allows_http()},
                        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=60)},
                    ),
                    url,
                    sealer,
                )
            return cls(from_url(url, mkdir=True) if scheme == "file" else from_url(url), url, sealer)

    async def put(self, tenant: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        """Keeps `data` and returns its reference, once it is safe against a crash of the machine.

        Putting the same bytes again is free of harm: what is there is verified and kept, or replaced when it is
        damaged. What this process has put before and nobody has changed is known to be safe. A blob that is older than
        a day gets a new time of modification: whoever deletes blobs that nobody needs spares the new ones, as the run
        that needs this one may not have begun. Raises `ServiceUnavailable`.
        """
        ref = BlobRef(tenant=tenant, sha256=hashlib.sha256(data).hexdigest(), size=len(data), media_type=media_type)
        key, young = blob_path(tenant, ref.sha256), time.time() - _YOUNG_SECONDS
        if self._files is not None and self._files.is_durable(key, since=young):
            return ref
        stored = await self._as_stored(ref, data)
        with _translated(self._url):
            new = await self._write(ref, key, stored, young)
            if self._files is not None:
                await asyncio.to_thread(self._files.flush, key, new=new)
                self._files.keep(key, data, self._files.state(key), durable=True)
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """The bytes behind `ref`, verified, or as they were verified before if the file has not changed since.

        Raises `DocumentNotFound` when there are none, `CorruptDocument` when they are not the ones that were put,
        `ServiceUnavailable`.
        """
        key, state = blob_path(ref.tenant, ref.sha256), None
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
        if not is_blob(tenant, sha256):
            return None
        key = blob_path(tenant, sha256)
        with _translated(self._url):
            try:
                size = (await self._store.head_async(key))["size"]
                if self._sealer is not None and await self._is_sealed(key, size):
                    size -= OVERHEAD
            except FileNotFoundError:
                return None
        return BlobRef(tenant=tenant, sha256=sha256, size=size)

    async def tenants(self) -> Sequence[str]:
        """The tenants that have, or had, blobs, in order. Raises `ServiceUnavailable`."""
        with _translated(self._url):
            return await owners(self._store)

    async def list(self, tenant: str | None = None) -> AsyncIterator[StoredBlob]:
        """The blobs of `tenant`, or of all, as stored, in no order. Raises `ServiceUnavailable`."""
        with _translated(self._url):
            async for blob in stored_blobs(self._store, tenant):
                yield blob

    async def delete(self, tenant: str, sha256s: Sequence[str], *, unless_newer: datetime | None = None) -> int:
        """Deletes blobs of `tenant`, and gives how many there were. Raises `ServiceUnavailable`.

        Spares those that were written, or put again, since `unless_newer`.
        """
        with _translated(self._url):
            return await delete_all(self._store, [blob_path(tenant, each) for each in sha256s], unless_newer)

    async def check(self) -> None:
        """Raises `ServiceUnavailable` with the fix unless the store can be written to."""
        with _translated(self._url):
            await self._store.put_async(_PROBE, b"engross", use_multipart=False)

    async def _as_stored(self, ref: BlobRef, data: bytes) -> bytes:
        return data if self._sealer is None else await self._sealer.seal(ref.tenant, data, ref.sha256)

    async def _write(self, ref: BlobRef, key: str, stored: bytes, young: float) -> bool:
        """Whether it had to be written."""
        try:
            await self._store.put_async(key, stored, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if await self._is_whole(ref) and await self._is_kept(key, young):
                return False
            await self._store.put_async(key, stored, mode="overwrite", use_multipart=False)
        return True

    async def _is_kept(self, key: str, young: float) -> bool:
        """Whether a whole blob can stay: encrypted if it should be, and not from before `young`, or made new here."""
        found = await self._store.head_async(key)
        if self._sealer is not None and not await self._is_sealed(key, found["size"]):
            return False
        if found["last_modified"].timestamp() >= young:
            return True
        if self._files is None:
            return False  # written again, it is new
        await asyncio.to_thread(self._files.touch, key)
        return True

    async def _read(self, ref: BlobRef, key: str) -> bytes:
        shown = ref.sha256[:_SHOWN_DIGITS]
        with _translated(self._url):
            try:
                found = await self._store.get_async(key)
                size = found.meta["size"]
                data = bytes(await found.bytes_async()) if size in (ref.size, ref.size + OVERHEAD) else b""
            except FileNotFoundError:
                raise DocumentNotFound(f"blob {shown} is not in the blob store; submit the document again") from None
        # One that is clear may look like a sealed one; its hash tells.
        if not _is(data, ref) and is_sealed(data):
            data = await self._unsealed(ref, data)
        if not _is(data, ref):
            raise _damaged(ref)
        return data

    async def _unsealed(self, ref: BlobRef, data: bytes) -> bytes:
        if self._sealer is None:
            raise KeyUnavailable(
                f"blob {ref.sha256[:_SHOWN_DIGITS]} is encrypted: set ENGROSS_ENCRYPTION_KEYS as on the other machines"
            )
        try:
            return await self._sealer.unseal(ref.tenant, data, ref.sha256)
        except CorruptDocument:
            raise _damaged(ref) from None

    async def _is_whole(self, ref: BlobRef) -> bool:
        try:
            await self.get(ref)
        except (CorruptDocument, DocumentNotFound):
            return False
        return True

    async def _is_sealed(self, key: str, size: int) -> bool:
        if size < OVERHEAD:
            return False
        return is_sealed(bytes(await self._store.get_range_async(key, start=0, length=HEADER)))


def _is(data: bytes, ref: BlobRef) -> bool:
    return len(data) == ref.size and hashlib.sha256(data).hexdigest() == ref.sha256


def _damaged(ref: BlobRef) -> CorruptDocument:
    return CorruptDocument(f"blob {ref.sha256[:_SHOWN_DIGITS]} is damaged in the blob store; submit the document again")


def _allows_http() -> bool:
    # Options of ours keep obstore from reading the standard variable, which a store inside a cluster needs.
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"


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
