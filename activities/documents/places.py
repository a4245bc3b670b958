"""Where on a page of a PDF texts stand."""

import ctypes
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pypdfium2.raw as pdfium

from activities.documents.drawn import Places, Rectangle
from activities.documents.folding import fold, folded
from activities.documents.lines import Box
from activities.documents.pdf import is_sideways, open_pdf, runs
from activities.documents.pictures import numbered_page

MOST_PLACES: Final = 20
"""Places that are told of one text."""

_GRID: Final = 1_000_000  # steps across the page, as pdfium converts to whole numbers only


class _Piece(NamedTuple):
    """A run of the page: its text, where it stands, and the number of each character in pdfium; None for a space."""

    text: str
    box: Box
    indices: list[int | None]


def places(data: bytes, number: int, texts: Sequence[str]) -> Places:
    """Where page `number`, from 1, has `texts`, as whole words. Raises `DocumentError`s."""
    document = open_pdf(data)
    try:
        page = numbered_page(document, number)
        textpage = page.get_textpage()
        try:
            width, height = page.get_size()
            return Places(width=width, height=height, rectangles=_find(page, textpage.raw, texts))
        finally:
            textpage.close()
            page.close()
    finally:
        document.close()


def _find(page: Any, textpage: Any, texts: Sequence[str]) -> tuple[tuple[Rectangle, ...], ...]:
    """In the order of the file, and where a text isn't found so, in the order in which a person reads lines."""
    pieces = _pieces(textpage)
    orders = [_Order(pieces), _Order(_by_lines(pieces))]
    found = []
    for text in texts:
        matches = next(filter(None, (order.find(folded(text)) for order in orders)), [])
        seen = [_seen(page, box) for match in matches for box in _boxes(textpage, match)]
        found.append(tuple(rectangle for rectangle in seen if rectangle is not None))
    return tuple(found)


class _Order:
    """The text of a page in one order, and the way back to its characters."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        text: list[str] = []
        self._indices: list[int | None] = []
        before = None
        for piece in pieces:
            gap = _gap(before, piece.box) if before else ""
            text += (gap, piece.text)
            self._indices += ([None] * len(gap)) + piece.indices
            before = piece.box
        self._folded = fold("".join(text))

    def find(self, needle: str) -> list[list[int]]:
        """The characters of each match."""
        spans = map(self._folded.original, self._folded.find(needle, MOST_PLACES))
        return [[index for index in self._indices[start:end] if index is not None] for start, end in spans]


def _gap(before: Box, after: Box) -> str:
    return " " if _are_level(before, after) else "\n"


def _are_level(one: Box, other: Box) -> bool:
    """Whether two boxes stand on one line."""
    return min(one.top, other.top) - max(one.bottom, other.bottom) > 0.5 * min(one.height, other.height)


def _pieces(textpage: Any) -> list[_Piece]:
    """In the order of the file."""
    return [_Piece(text, box, _indices(textpage, first, text)) for first, text, box in runs(textpage)]


def _indices(textpage: Any, first: int, text: str) -> list[int | None]:
    """The number of each character of a run; its spaces are not always in the file."""
    indices: list[int | None] = []
    index = first
    for character in text:
        if character == " ":
            indices.append(None)
            continue
        while _is_blank(pdfium.FPDFText_GetUnicode(textpage, index)):
            index += 1
        indices.append(index)
        index += 1
    return indices


def _is_blank(code: int) -> bool:
    return code == 0 or chr(code).isspace()


def _by_lines(pieces: list[_Piece]) -> list[_Piece]:
    """From top to bottom, and each line from left to right."""
    lines: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.box.middle):
        if lines and _are_level(lines[-1][0].box, piece.box):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [piece for line in lines for piece in sorted(line, key=lambda piece: piece.box.left)]


def _boxes(textpage: Any, indices: Sequence[int]) -> list[Box]:
    """Around the characters, one for each line."""
    boxes: list[Box] = []
    rect = pdfium.FS_RECTF()
    sideways = is_sideways(textpage, indices[0])
    for index in indices:
        pdfium.FPDFText_GetLooseCharBox(textpage, index, ctypes.byref(rect))
        box = Box(rect.left, rect.bottom, rect.right, rect.top)
        if boxes and (_are_level(_turned(boxes[-1]), _turned(box)) if sideways else _are_level(boxes[-1], box)):
            boxes[-1] = _around(boxes[-1], box)
        else:
            boxes.append(box)
    return boxes


def _turned(box: Box) -> Box:
    return Box(box.bottom, box.left, box.top, box.right)


def _around(one: Box, other: Box) -> Box:
    left, bottom = min(one.left, other.left), min(one.bottom, other.bottom)
    return Box(left, bottom, max(one.right, other.right), max(one.top, other.top))


def _seen(page: Any, box: Box) -> Rectangle | None:
    """Where the box is on the page as it is drawn, cropped and turned; None when it is off the page."""
    (x1, y1), (x2, y2) = _on_grid(page, box.left, box.top), _on_grid(page, box.right, box.bottom)
    left, right = sorted((min(max(x1, 0), _GRID), min(max(x2, 0), _GRID)))
    top, bottom = sorted((min(max(y1, 0), _GRID), min(max(y2, 0), _GRID)))
    if left == right or top == bottom:
        return None
    width, height = right - left, bottom - top
    return Rectangle(left=left / _GRID, top=top / _GRID, width=width / _GRID, height=height / _GRID)


def _on_grid(page: Any, x: float, y: float) -> tuple[int, int]:
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, ctypes.byref(across), ctypes.byref(down))
    return across.value, down.value
