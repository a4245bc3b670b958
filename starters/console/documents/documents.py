"""Puts together what is shown of documents: reads them, finds the values, has their pages drawn."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from markupsafe import Markup, escape

from activities.documents.canonical import CanonicalText
from activities.documents.drawn import Places
from activities.documents.evidence import Found, find_values
from activities.documents.folding import Span
from activities.documents.sniff import is_pdf
from engross.contracts import ApprovalRequest, BlobRef
from engross.errors import DocumentError, DocumentNotFound, InvalidRequest
from starters.console.documents.cache import Drawn, PictureCache
from starters.console.documents.marking import marked
from starters.console.documents.sheets import Sheet, sheets
from starters.console.documents.view import WIDTHS, Box, DocumentView, Elsewhere, Links, PagePicture, Shown

LONGEST_SEARCHED: Final = 2_000_000
"""Characters of a text that is searched as a whole; of a longer one only the sheet that is shown."""

MOST_BOXES: Final = 100_000
"""Bytes of what is marked on one picture, roughly; places after that are not marked."""

MOST_ELSEWHERE: Final = 30_000
"""Bytes of links to values on other sheets, roughly; values after that have none."""

_BOX: Final = 140  # bytes of its HTML besides the name of its field
_LINK: Final = 400
_MB: Final = 1 << 20
_Named = TypeVar("_Named", Box, Elsewhere)


class Blobs(Protocol):
    """Where documents and texts are."""

    async def get(self, ref: BlobRef) -> bytes: ...


class Parsers(Protocol):
    """Draws untrusted PDFs, out of process: see `activities.documents.pool.ParserPool`."""

    async def picture(self, data: bytes, page: int, width: int) -> bytes: ...

    async def places(self, data: bytes, page: int, texts: Sequence[str]) -> Places: ...


@dataclass(frozen=True)
class _Read:
    """A document's text in sheets, and where the values of the answer are in it."""

    text: CanonicalText
    sheets: list[Sheet]
    sheet: Sheet
    found: list[Found]


class Documents:
    """Shows documents; `cache_mb` of pictures are kept in memory. Who may see them is for the caller to know."""

    def __init__(self, *, blobs: Blobs, parsers: Parsers, cache_mb: int = 32) -> None:
        self._blobs = blobs
        self._parsers = parsers
        self._cache = PictureCache(cache_mb * _MB)

    async def view(
        self, request: ApprovalRequest, answer: Any, links: Links, *, number: int = 1, shown: Shown = "picture"
    ) -> DocumentView | None:
        """Sheet `number` with the values of `answer` (parsed JSON) marked; None when the approval has no text.

        A number past the last sheet is the last one. Raises the `DocumentError` or `ServiceUnavailable` that says why
        the text can't be read.
        """
        if request.text is None:
            return None
        stored = await self._blobs.get(request.text)
        read = await asyncio.to_thread(_read, stored, answer, number)
        data, problem = await self._pdf(request)
        view = DocumentView(
            name=request.document_name,
            links=links,
            number=read.sheets.index(read.sheet) + 1,
            count=len(read.sheets),
            sheet=read.sheet,
            has_pictures=bool(data),
            asked=shown,
            text=marked(read.text.text, read.sheet.start, read.sheet.end, read.found),
            elsewhere=tuple(_within(_elsewhere(read), MOST_ELSEWHERE, _LINK)),
            problem=problem,
        )
        return await self._with_picture(view, data, read) if data and shown == "picture" else view

    async def picture(self, request: ApprovalRequest, page: int, width: int) -> bytes:
        """Page `page`, from 1, as a PNG about `width` pixels wide.

        Raises `InvalidRequest` for an impossible width, `DocumentNotFound` where there is no such picture, and what
        else `ParserPool.picture` raises.
        """
        if not 1 <= width <= WIDTHS[-1]:
            raise InvalidRequest(f"a picture is 1 to {WIDTHS[-1]} pixels wide")
        if request.document is None:
            raise DocumentNotFound("the approval has no document")
        width = next(offered for offered in WIDTHS if offered >= width)
        which = Drawn(request.document.tenant, request.document.sha256, page, width)
        drawn = self._cache.get(which)
        if drawn is None:
            data = await self._blobs.get(request.document)
            if not is_pdf(data):
                raise DocumentNotFound("only pages of PDFs have pictures; read the text")
            drawn = await self._parsers.picture(data, page, width)
            self._cache.put(which, drawn)
        return drawn

    async def _pdf(self, request: ApprovalRequest) -> tuple[bytes, str]:
        """The document, when it is a PDF, and what is wrong with it."""
        if request.document is None:
            return b"", ""
        try:
            data = await self._blobs.get(request.document)
        except DocumentError as error:  # its text is there, and says all that the answer is made of
            return b"", str(error)
        return (data, "") if is_pdf(data) else (b"", "")

    async def _with_picture(self, view: DocumentView, data: bytes, read: _Read) -> DocumentView:
        fields = _printed(read)
        try:
            places = await self._parsers.places(data, read.sheet.page, list(fields))
        except DocumentError as error:
            return replace(view, problem=str(error))
        boxes = (
            Box(field, place)
            for names, rectangles in zip(fields.values(), places.rectangles, strict=True)
            for field in names
            for place in rectangles
        )
        picture = PagePicture(
            max(round(places.width), 1), max(round(places.height), 1), tuple(_within(boxes, MOST_BOXES, _BOX))
        )
        return replace(view, picture=picture, text=Markup())


def _read(stored: bytes, answer: Any, number: int) -> _Read:
    text = CanonicalText.model_validate_json(stored)
    parts = sheets(text)
    sheet = parts[min(max(number, 1), len(parts)) - 1]
    if len(text.text) <= LONGEST_SEARCHED:
        return _Read(text, parts, sheet, find_values(answer, text.text))
    found = find_values(answer, text.text[sheet.start : sheet.end])
    return _Read(text, parts, sheet, [_moved(value, sheet.start) for value in found])


def _moved(found: Found, by: int) -> Found:
    return Found(found.field, tuple(Span(span.start + by, span.end + by) for span in found.spans))


def _is_on(span: Span, sheet: Sheet) -> bool:
    return span.start < sheet.end and span.end > sheet.start


def _printed(read: _Read) -> dict[str, list[str]]:
    """The texts that are marked on the sheet's page, with the fields whose values they are."""
    fields: dict[str, list[str]] = {}
    for value in read.found:
        here = (read.text.text[slice(*span)] for span in value.spans if _is_on(span, read.sheet))
        for text in dict.fromkeys(here):
            fields.setdefault(text, []).append(value.field)
    return fields


def _elsewhere(read: _Read) -> Iterator[Elsewhere]:
    ends = [sheet.end for sheet in read.sheets]
    for value in read.found:
        if not any(_is_on(span, read.sheet) for span in value.spans):
            first = min(span.start for span in value.spans)
            yield Elsewhere(value.field, bisect_right(ends, first) + 1)


def _within(items: Iterable[_Named], most: int, each: int) -> Iterator[_Named]:
    """As many as go into `most` bytes of HTML, at `each` a piece besides the names of their fields."""
    left = most
    for item in items:
        left -= 2 * len(escape(item.field).encode()) + each
        if left < 0:
            return
        yield item
