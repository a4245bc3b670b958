"""Documents that are sent to the API: they go to disk as they come, and never further than the limit."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Final

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from engross.errors import DocumentTooLarge, NotAcceptable
from engross.settings import Settings

MOST_NAME: Final = 200
FIELD: Final = "document"
_MEGABYTE: Final = 1_000_000
# What a form adds to its file: boundaries, headers, names.
_FORM_EXTRA: Final = 10_000
_IN_MEMORY: Final = 1_000_000
# A document is in memory as a whole once it is there and within the limit; so few are at a time.
_AT_ONCE: Final = 4
_FORM: Final = "multipart/form-data"


@dataclass(frozen=True)
class Upload:
    """A document as it came; `name` is what the client calls it."""

    data: bytes
    name: str


def most_bytes(settings: Settings) -> int:
    """The bytes of the largest request that can hold an allowed document."""
    return settings.max_document_mb * _MEGABYTE + _FORM_EXTRA


class Uploads:
    """Takes documents, a few at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def taken(self, request: Request, name: str | None, settings: Settings) -> AsyncIterator[Upload]:
        """The document in the body: its bytes as they are, or the one file `document` of a form.

        Raises `DocumentTooLarge`, `NotAcceptable` for a form without that file, and HTTP error 400 for a body that
        breaks off or is no form.
        """
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            try:
                sent = await self._received(request, file)
            except ClientDisconnect:
                raise HTTPException(400, "the document broke off") from None
            shown = name or sent or FIELD
            if len(shown) > MOST_NAME:
                raise NotAcceptable(f"the document's name is longer than {MOST_NAME} characters")
            limit = settings.max_document_mb
            if file.tell() > limit * _MEGABYTE:
                raise DocumentTooLarge(f"the document is larger than {limit} MB; raise ENGROSS_MAX_DOCUMENT_MB to allow it")
            async with self._turn:
                yield Upload(await asyncio.to_thread(_all, file), shown)

    async def _received(self, request: Request, file: IO[bytes]) -> str:
        """Writes the document to `file`; the name that the client gives it, or ""."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            async for chunk in request.stream():
                await asyncio.to_thread(file.write, chunk)
            return ""
        async with request.form(max_files=1, max_fields=0) as form:
            sent = form.get(FIELD)
            if not isinstance(sent, UploadFile) or len(form.multi_items()) != 1:
                raise NotAcceptable(f"a form has one file, called {FIELD!r}, and nothing else")
            while chunk := await sent.read(_IN_MEMORY):
                await asyncio.to_thread(file.write, chunk)
            return sent.filename or ""


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
