"""Takes documents from disk: whatever is not a readable file of a sensible size is refused by name."""

import stat
from pathlib import Path
from typing import Final

from engross.errors import DocumentNotFound, DocumentTooLarge, EmptyDocument

_MEGABYTE: Final = 1_000_000


def read_document(path: Path, max_megabytes: int) -> bytes:
    """The bytes of `path`; never more than the limit and one are read.

    Raises `DocumentNotFound`, `EmptyDocument` or `DocumentTooLarge`.
    """
    limit = max_megabytes * _MEGABYTE
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DocumentNotFound(f"{path} is {'a folder' if stat.S_ISDIR(found.st_mode) else 'not a file'}")
        if found.st_size > limit:
            raise _too_large(path, max_megabytes)
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise DocumentNotFound(f"no file at {path}") from None
    except OSError as error:
        raise DocumentNotFound(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise DocumentNotFound("a file name cannot hold a NUL character") from None
    return checked(data, path, max_megabytes)


def checked(data: bytes, path: Path | str, max_megabytes: int) -> bytes:
    """`data`, unless there is none or too much of it."""
    if not data:
        raise EmptyDocument(f"{path} has no bytes")
    if len(data) > max_megabytes * _MEGABYTE:
        raise _too_large(path, max_megabytes)
    return data


def _too_large(path: Path | str, max_megabytes: int) -> DocumentTooLarge:
    return DocumentTooLarge(f"{path} is larger than {max_megabytes} MB; raise ENGROSS_MAX_DOCUMENT_MB to allow it")
