"""Plain text read in the worker itself: no decoder in it can crash or hang, so it needs no process of its own."""

from pathlib import PurePath
from typing import Final

from activities.documents import plain
from activities.documents.canonical import canonical
from activities.documents.counting import counted
from activities.documents.sniff import Format, sniff
from activities.ports import ExtractedText, Parsers
from engross.errors import DocumentError, UnsupportedFormat

# Bytes; a larger one would keep the event loop from others for too long.
MOST_BYTES: Final = 256 * 1024


class InlineText:
    """Reads small plain text, and leaves all else to `parsers`, where there are any."""

    def __init__(self, parsers: Parsers | None = None) -> None:
        self._parsers = parsers

    async def extract(self, data: bytes, name: str) -> ExtractedText:
        """The canonical text. Raises `UnsupportedFormat` when that takes a parser and there is none."""
        if is_plain(data, name):
            with counted() as reading:
                reading.format = Format.TEXT
                return canonical(*plain.read(data))
        if self._parsers is None:
            raise UnsupportedFormat("not a small plain text: it needs a parser")
        return await self._parsers.extract(data, name)

    async def repair_json(self, text: str) -> str | None:
        """What the parsers make of it: that needs a process that can be killed."""
        return await self._parsers.repair_json(text) if self._parsers else None


def is_plain(data: bytes, name: str) -> bool:
    """Whether a document called `name` is small plain text."""
    if not 0 < len(data) <= MOST_BYTES:
        return False
    try:
        return sniff(data, PurePath(name).suffix.lower()) is Format.TEXT
    except DocumentError:
        return False
