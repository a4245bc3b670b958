"""What a file is: by its content first, by its name only where the content cannot tell."""

import re
from enum import StrEnum
from typing import Final

from activities.documents import archives
from engross.errors import CorruptDocument, EncryptedDocument, NeedsOcr, UnsupportedFormat


class Format(StrEnum):
    """The formats that are read. Values are for people."""

    PDF = "PDF"
    DOCX = "Word document"
    PPTX = "PowerPoint presentation"
    XLSX = "Excel workbook"
    ODT = "OpenDocument text"
    ODS = "OpenDocument spreadsheet"
    ODP = "OpenDocument presentation"
    EPUB = "EPUB book"
    RTF = "RTF document"
    HTML = "HTML page"
    EML = "e-mail"
    TEXT = "plain text"


_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IMAGES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"GIF8", "GIF"),
)
_BY_SUFFIX: Final = {".html": Format.HTML, ".htm": Format.HTML, ".xhtml": Format.HTML, ".eml": Format.EML}
# Names that promise a format which is never plain text or unknown bytes.
_BINARY_SUFFIXES: Final = (".pdf", ".docx", ".pptx", ".xlsx", ".xlsm", ".odt", ".ods", ".odp", ".epub", ".rtf")
_HTML: Final = re.compile(rb"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S)
_EML: Final = re.compile(rb"(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|X-[\w-]+): ", re.I)
# Bytes that no text encoding of ours uses, below the space.
_BINARY_BYTES: Final = bytes(sorted(set(range(32)) - {0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1A, 0x1B}))
_HEAD: Final = 8192


def sniff(data: bytes, suffix: str) -> Format:
    """The format of a document whose name ends in `suffix` (`.pdf`, lower case).

    Raises `CorruptDocument` when the name promises what the content isn't, `NeedsOcr` for an image,
    `EncryptedDocument`, `UnsupportedFormat`.
    """
    if is_pdf(data):
        return Format.PDF
    image = _image(data)
    archive = data[:4] == b"PK\x03\x04"
    if suffix == ".pdf":
        raise CorruptDocument(f"named .pdf but is {_describe(data, image)}; give it its right name, or save it again")
    if image:
        raise NeedsOcr(f"an image ({image}); needs OCR, which this installation does not have")
    if archive:
        return _inside_archive(data)
    if data.startswith(_OLE):
        raise _ole(data)
    if data.startswith(b"{\\rtf"):
        return Format.RTF
    if suffix in _BINARY_SUFFIXES:
        raise CorruptDocument(f"named {suffix} but is {_describe(data, image)}; give it its right name")
    if is_binary(data):
        raise UnsupportedFormat("not a format that is read here; save it as PDF, DOCX, XLSX, PPTX, HTML or text")
    return _text(data, suffix)


def is_pdf(data: bytes) -> bool:
    """Whether readers take it for a PDF: many let other bytes come first."""
    return b"%PDF-" in data[:1024]


def is_binary(data: bytes) -> bool:
    """Whether these bytes can be no text in any encoding that is read here."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    head = data[:_HEAD]
    return b"\0" in head or len(head) - len(head.translate(None, _BINARY_BYTES)) > len(head) // 100


def _text(data: bytes, suffix: str) -> Format:
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML.match(head):
        return Format.HTML
    if suffix == "" and _EML.match(head):
        return Format.EML
    return _BY_SUFFIX.get(suffix, Format.TEXT)


def _inside_archive(data: bytes) -> Format:
    members = archives.members(data)
    for name, found in (
        ("word/document.xml", Format.DOCX),
        ("ppt/presentation.xml", Format.PPTX),
        ("xl/workbook.xml", Format.XLSX),
    ):
        if name in members:
            return found
    kind = archives.declared_type(data)
    for ending, found in (
        ("opendocument.text", Format.ODT),
        ("opendocument.spreadsheet", Format.ODS),
        ("opendocument.presentation", Format.ODP),
        ("epub+zip", Format.EPUB),
    ):
        if kind.endswith(ending):
            return found
    raise UnsupportedFormat("a ZIP archive, not a document; unpack it and submit the files in it")


def _ole(data: bytes) -> Exception:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument("protected by a password; save it without one")
    return UnsupportedFormat("an old Office file; save it as DOCX, XLSX or PPTX")


def _image(data: bytes) -> str:
    for start, name in _IMAGES:
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return "HEIC" if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif") else ""


def _describe(data: bytes, image: str) -> str:
    if image:
        return f"an image ({image})"
    if data[:4] == b"PK\x03\x04":
        return "a ZIP archive or an Office document"
    if data.startswith(_OLE):
        return "an old Office file"
    if data.startswith(b"{\\rtf"):
        return "an RTF document"
    if is_binary(data):
        return "something unknown, or damaged from its first bytes"
    return "an HTML page" if _text(data, "") is Format.HTML else "plain text"
