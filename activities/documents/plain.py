"""Text files: TXT, Markdown, CSV and whatever else is text; and the encoding of HTML."""

import codecs
import re
from typing import Final

DECODED_AS_CP1252: Final = "decoded-as-cp1252"

_DECLARED: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_HEAD: Final = 4096


def read(data: bytes) -> tuple[list[str], list[str]]:
    """Pages, which form feeds end, and flags."""
    text, flags = decode(data)
    return text.split("\f"), flags


def decode(data: bytes) -> tuple[str, list[str]]:
    """Text and flags: UTF-16 and UTF-32 by their marks, UTF-8, else Windows-1252, flagged."""
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), [DECODED_AS_CP1252]


def decode_html(data: bytes) -> tuple[str, list[str]]:
    """As `decode`, but what isn't UTF-8 is read in the encoding that the page declares."""
    text, flags = decode(data)
    declared = _DECLARED.search(data[:_HEAD])
    if not flags or declared is None:
        return text, flags
    try:
        return data.decode(declared[1].decode("ascii"), "replace"), []
    except (LookupError, UnicodeError):
        return text, flags
