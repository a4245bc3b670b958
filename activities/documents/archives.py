"""What a ZIP archive says about itself, before anything unpacks it."""

import io
import zipfile
from typing import Final

from engross.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument

MAX_MEMBERS: Final = 10_000
MAX_RATIO: Final = 200
"""Expanded to packed size, over the whole archive; text in office documents stays below 50."""

_MB: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_SMALL: Final = 10 * _MB


def members(data: bytes) -> frozenset[str]:
    """The names in the archive. Raises `CorruptDocument` when it has no directory."""
    return frozenset(info.filename for info in _directory(data))


def declared_type(data: bytes) -> str:
    """The media type that an OpenDocument or EPUB file declares; empty for others."""
    for info in _directory(data):
        if info.filename == "mimetype" and info.file_size < 200:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return archive.read(info).decode("ascii", "replace").strip()
    return ""


def check(data: bytes, max_expanded_mb: int) -> None:
    """Raises `DocumentTooLarge` for what would unpack to too much, `EncryptedDocument`, `CorruptDocument`.

    The directory can lie about sizes; the limit of memory is for those who do.
    """
    directory = _directory(data)
    if len(directory) > MAX_MEMBERS:
        raise DocumentTooLarge(f"holds more than {MAX_MEMBERS} parts; split the document")
    expanded = sum(info.file_size for info in directory)
    if expanded > max_expanded_mb * _MB:
        raise DocumentTooLarge(f"unpacks to more than {max_expanded_mb} MB; split the document")
    if expanded > _SMALL and expanded > MAX_RATIO * len(data):
        raise DocumentTooLarge(f"unpacks to more than {MAX_RATIO} times its size; save it again, or split it")
    if any(info.flag_bits & _ENCRYPTED for info in directory):
        raise EncryptedDocument("protected by a password; save it without one")


def _directory(data: bytes) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        raise CorruptDocument("damaged or cut off: its parts cannot be listed; save or send it again") from None
