"""Pages of a PDF as pictures."""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pypdfium2

from activities.documents.drawn import PNG_MARK
from activities.documents.pdf import open_page, open_pdf
from engross.errors import CorruptDocument, DocumentNotFound, DocumentTooLarge

MAX_PIXELS: Final = 8_000_000

_LEAST_SIDE: Final = 1.0  # points
_LEAST_WIDTH: Final = 100  # pixels; on a narrower picture of a page nothing can be read
_CHANNELS: Final = 3
_LEVEL: Final = 3  # of compression: half the time of the usual level, for a sixth more bytes


def draw(data: bytes, number: int, width: int) -> bytes:
    """Page `number`, from 1, as a PNG that is `width` pixels wide, or less where the page is very long.

    Raises `DocumentError`s: `DocumentNotFound` where there is no such page, `DocumentTooLarge` for an absurd shape.
    """
    document = open_pdf(data)
    try:
        page = numbered_page(document, number)
        try:
            return _png(_render(page, _scale(page, width)))
        finally:
            page.close()
    finally:
        document.close()


def numbered_page(document: Any, number: int) -> Any:
    """The page, from 1, of an open document, with what is filled into its form. To be closed by the caller."""
    if not 1 <= number <= len(document):
        raise DocumentNotFound(f"the document has no such page; its last one is {len(document)}")
    try:
        document.init_forms()
    except pypdfium2.PdfiumError:
        raise CorruptDocument("the form in it is damaged; save or send the document again") from None
    return open_page(document, number - 1)


def _scale(page: Any, width: int) -> float:
    """Pixels a point."""
    across, down = page.get_size()
    if not (math.isfinite(across * down) and min(across, down) >= _LEAST_SIDE):
        raise CorruptDocument("a page without a size; save or send the document again")
    pixels = min(float(width), math.sqrt(MAX_PIXELS * across / down))
    if pixels < min(width, _LEAST_WIDTH):
        raise DocumentTooLarge("a page far too long and narrow to be drawn; split the page")
    # A little less, since sizes are rounded up.
    return float(math.floor(pixels) / across * (1 - 1e-9))


def _render(page: Any, scale: float) -> Any:
    try:
        return page.render(scale=scale, rev_byteorder=True)
    except (pypdfium2.PdfiumError, ValueError):
        raise CorruptDocument("the page can't be drawn; save or send the document again") from None


def _png(bitmap: Any) -> bytes:
    """RGB, 8 bits a channel, rows unfiltered."""
    header = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, 2, 0, 0, 0)
    rows = b"".join(_compressed(memoryview(bitmap.buffer).cast("B"), bitmap.width * _CHANNELS, bitmap.stride))
    return PNG_MARK + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _compressed(pixels: memoryview, row: int, stride: int) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL)
    for start in range(0, len(pixels), stride):
        yield packer.compress(b"\0")
        yield packer.compress(pixels[start : start + row])
    yield packer.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
