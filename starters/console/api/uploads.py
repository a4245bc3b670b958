"""Documents that are sent to the API: they go to disk as they come, and never further than the limit."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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
FORM: Final = "multipart/form-data"

_turn = asyncio.Semaphore(_AT_ONCE)


@dataclass(frozen=True)
class Upload:
    """A document as it came; `name` is what the client calls it."""

    data: bytes
    name: str


@dataclass(frozen=True)
class _Sent:
    file: IO[bytes]
    size: int
    name: str


def most_bytes(settings: Settings) -> int:
    """The bytes of the largest request that can hold an allowed document."""
    return settings.max_document_mb * _MEGABYTE + _FORM_EXTRA


@asynccontextmanager
async def taken(request: Request, name: str | None, settings: Settings) -> AsyncIterator[Upload]:
    """The document in the body: its bytes as they are, or the one file `document` of a form.

    Raises `DocumentTooLarge`, `NotAcceptable` for a form without that file, and HTTP error 400 for a body that breaks
    off or is no form.
    """
    limit = settings.max_document_mb
    too_large = DocumentTooLarge(f"the document is larger than {limit} MB; ENGROSS_MAX_DOCUMENT_MB allows larger ones")
    async with AsyncExitStack() as files:
        try:
            sent = await (_of_form if _is_form(request) else _of_body)(request, files)
        except ClientDisconnect:
            raise HTTPException(400, "the document broke off") from None
        except HTTPException as error:
            raise too_large if error.status_code == 413 else error from None
        if sent.size > limit * _MEGABYTE:
            raise too_large
        shown = name or sent.name or FIELD
        if len(shown) > MOST_NAME:
            raise NotAcceptable(f"the document's name is longer than {MOST_NAME} characters")
        async with _turn:
            yield Upload(await asyncio.to_thread(_all, sent.file), shown)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


async def _of_body(request: Request, files: AsyncExitStack) -> _Sent:
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `files` closes it
    files.callback(file.close)
    async for chunk in request.stream():
        await asyncio.to_thread(file.write, chunk)
    return _Sent(file, file.tell(), "")


async def _of_form(request: Request, files: AsyncExitStack) -> _Sent:
    form = await files.enter_async_context(request.form(max_files=1, max_fields=0))
    sent = form.get(FIELD)
    if not isinstance(sent, UploadFile):
        raise NotAcceptable(f"the form needs a file called {FIELD!r}")
    return _Sent(sent.file, sent.size or 0, sent.filename or "")


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
