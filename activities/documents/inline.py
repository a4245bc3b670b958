"""Plain text read in the worker itself: no decoder in it can crash or hang, so it needs no process of its own."""

from pathlib import PurePath
from typing import Final

from activities.documents import plain
from activities.documents.canonical import CanonicalText, canonical
from activities.documents.sniff import Format, sniff
from engross.errors import DocumentError, UnsupportedFormat

# Bytes; a larger one would keep the event loop from others for too long.
MOST_BYTES: Final = 256 * 1024


class InlineText:
    """Reads plain text, and nothing else."""

    async def extract(self, data: bytes, name: str) -> CanonicalText:
        """The canonical text. Raises `UnsupportedFormat` for all that isn't small plain text."""
        if not is_plain(data, name):
            raise UnsupportedFormat("not a small plain text: it needs a parser")
        return canonical(*plain.read(data))

    async def repair_json(self, text: str) -> str | None:
        """Nothing: that needs a process that can be killed."""
        return None


def is_plain(data: bytes, name: str) -> bool:
    """Whether a document called `name` is small plain text."""
    if not 0 < len(data) <= MOST_BYTES:
        return False
    try:
        return sniff(data, PurePath(name).suffix.lower()) is Format.TEXT
    except DocumentError:
        return False
