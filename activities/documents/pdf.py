"""PDF: text and where it stands, page by page."""

import ctypes
import math
from collections.abc import Iterator
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from activities.documents.layout import arrange
from activities.documents.lines import CELL_GAP, Box, Span
from engross.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument, NeedsOcr

MAX_PAGES: Final = 5_000

_HYPHEN: Final = 0x02  # what pdfium puts for a hyphen at the end of a line
_SIDEWAYS: Final = 0.1  # radians off the horizontal
_WORD_GAP: Final = 0.35  # of a character's height; wider is between words even where the file has no space


def read_pdf(data: bytes) -> list[str]:
    """The text of each page. Raises `DocumentError`s; `NeedsOcr` when no page has any."""
    document = open_pdf(data)
    try:
        if len(document) == 0:
            raise CorruptDocument("a PDF without pages; save or send it again")
        if len(document) > MAX_PAGES:
            raise DocumentTooLarge(f"more than {MAX_PAGES:,} pages; split the document".replace(",", " "))
        pages = [_read_page(document, number) for number in range(len(document))]
    finally:
        document.close()
    if not any(page.strip() for page in pages):
        raise NeedsOcr("no page has text: a scan; needs OCR, which this installation does not have")
    return pages


def open_pdf(data: bytes) -> Any:
    """A document of pypdfium2, for the caller to close. Raises `EncryptedDocument`, `CorruptDocument`."""
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise EncryptedDocument("protected by a password; save it without one") from None
        raise CorruptDocument("a PDF that is damaged or cut off; save or send it again") from None


def open_page(document: Any, number: int) -> Any:
    """Its page, counted from 0, for the caller to close. Raises `CorruptDocument`."""
    try:
        return document[number]
    except pypdfium2.PdfiumError:
        raise CorruptDocument(f"page {number + 1} is damaged; save or send the document again") from None


def _read_page(document: Any, number: int) -> str:
    page = open_page(document, number)
    textpage = page.get_textpage()
    try:
        # Positions are those of the page before it is turned, so only the file's own order is left.
        text = None if page.get_rotation() else arrange(_spans(textpage.raw, Box(*page.get_bbox())))
        return str(textpage.get_text_range()) if text is None else text
    finally:
        textpage.close()
        page.close()


def _spans(textpage: Any, page: Box) -> list[Span]:
    """The pieces of text on the page in the file's order. Without those that are off the page: nobody sees them."""
    spans = []
    for first, text, box in runs(textpage):
        if box.left < page.right and box.right > page.left and page.bottom < box.middle < page.top:
            seen = box._replace(left=max(box.left, page.left), right=min(box.right, page.right))
            spans.append(Span(text, seen, sideways=is_sideways(textpage, first)))
    return spans


def is_sideways(textpage: Any, index: int) -> bool:
    """Whether that character isn't written from left to right."""
    return bool(_SIDEWAYS < pdfium.FPDFText_GetCharAngle(textpage, index) < math.tau - _SIDEWAYS)


def runs(textpage: Any) -> Iterator[tuple[int, str, Box]]:
    """Characters that follow each other on a line, no further apart than words: index of the first, text, box."""
    # Bound once: the loop runs for each character of the document.
    get_unicode, get_box, rect = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox, pdfium.FS_RECTF()
    pointer = ctypes.byref(rect)
    first, text, space = 0, "", False
    left = bottom = right = top = 0.0
    for index in range(pdfium.FPDFText_CountChars(textpage)):
        code = get_unicode(textpage, index)
        character = "-" if code == _HYPHEN else chr(code)
        if code == 0 or character.isspace():
            space = True
            continue
        get_box(textpage, index, pointer)
        gap, height = rect.left - right, top - bottom
        level = min(top, rect.top) - max(bottom, rect.bottom) > 0.5 * min(height, rect.top - rect.bottom)
        if text and level and -height < gap < CELL_GAP * height:
            text += " " + character if space or gap > _WORD_GAP * height else character
            right, bottom, top = rect.right, min(bottom, rect.bottom), max(top, rect.top)
        else:
            if text:
                yield first, text, Box(left, bottom, right, top)
            first, text = index, character
            left, bottom, right, top = rect.left, rect.bottom, rect.right, rect.top
        space = False
    if text:
        yield first, text, Box(left, bottom, right, top)
