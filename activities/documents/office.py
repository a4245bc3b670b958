"""Office documents, HTML, e-mail: the one place that knows the library which reads them."""

import asyncio
import re
from typing import Final

import xberg

from activities.documents.sniff import Format
from engross.errors import CorruptDocument, DocumentError, DocumentTooLarge, EncryptedDocument, UnsupportedFormat

_OPENXML: Final = "application/vnd.openxmlformats-officedocument."
_OPENDOCUMENT: Final = "application/vnd.oasis.opendocument."
_MEDIA_TYPES: Final = {
    Format.DOCX: _OPENXML + "wordprocessingml.document",
    Format.PPTX: _OPENXML + "presentationml.presentation",
    Format.XLSX: _OPENXML + "spreadsheetml.sheet",
    Format.ODT: _OPENDOCUMENT + "text",
    Format.ODS: _OPENDOCUMENT + "spreadsheet",
    Format.ODP: _OPENDOCUMENT + "presentation",
    Format.EPUB: "application/epub+zip",
    Format.RTF: "application/rtf",
    Format.HTML: "text/html",
    Format.EML: "message/rfc822",
}
# Markdown keeps headings, lists and tables readable for models and people alike.
_CONFIG: Final = xberg.ExtractionConfig(
    use_cache=False,
    disable_ocr=True,
    enable_quality_processing=False,
    postprocessor=xberg.PostProcessorConfig(enabled=False),
    output_format="markdown",
    escape_markdown=False,
    # A page's header may be the invoice's: nothing is taken for navigation and dropped.
    html_options=xberg.ConversionOptions(
        extract_metadata=False, preprocessing=xberg.PreprocessingOptions(enabled=False)
    ),
    pages=xberg.PageConfig(extract_pages=True),
    max_archive_depth=0,
    concurrency=xberg.ConcurrencyConfig(max_threads=1),
)
# The library escapes what Markdown would read as markup; text is to stay as printed, so that quotes are found in it.
_ESCAPES: Final = re.compile(r"^(\s*\d*)\\([-+.)=])|\\([\\!#&<>`~])", re.MULTILINE)
_ESCAPES_IN_HTML: Final = re.compile(r"^(\s*\d*)\\([-+.)=#*>_`~])|\\(\\)", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")


class OfficeReader:
    """Reads documents with xberg. Holds an event loop, as xberg is asynchronous; call it from one thread."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def read(self, data: bytes, kind: Format) -> list[str]:
        """The pages: slides, sheets, or one for the whole text. HTML must be UTF-8. Raises `DocumentError`s."""
        request = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=_MEDIA_TYPES[kind])
        try:
            result = self._runner.run(xberg.extract(request, _CONFIG))
        except (xberg.XbergError, RuntimeError) as error:
            raise _named(str(error)) from None
        if result.errors:
            raise _named(f"{result.errors[0].error_type} {result.errors[0].message}")
        if not result.results:
            raise CorruptDocument("the parser found nothing in it; save or send it again")
        return [_as_printed(page, kind) for page in _pages(result.results[0])]


def _pages(document: xberg.ExtractedDocument) -> list[str]:
    pages = []
    for page in document.pages or ():
        heading = f"## {page.sheet_name}\n\n" if page.sheet_name else ""
        notes = f"\n\nNotes: {page.speaker_notes}" if page.speaker_notes else ""
        pages.append(heading + page.content + notes)
    # Pages are a second rendering; where it lost something, the whole is worth more than its breaks.
    if sum(map(_words, pages)) < _words(document.content):
        return [document.content]
    return pages


def _as_printed(page: str, kind: Format) -> str:
    return (_ESCAPES_IN_HTML if kind is Format.HTML else _ESCAPES).sub(r"\1\2\3", page)


def _words(text: str) -> int:
    return len(_WORD.findall(text))


def _named(message: str) -> DocumentError:
    """Our error for the library's message, which may quote the document and so goes no further."""
    message = message.lower()
    if "password" in message or "encrypted" in message:
        return EncryptedDocument("protected by a password; save it without one")
    if "security" in message or "limit" in message or "too large" in message:
        return DocumentTooLarge("unpacks to more than a document should; save it again, or split it")
    if "unsupported" in message:
        return UnsupportedFormat("not a format that is read here; save it as PDF, DOCX, XLSX, PPTX, HTML or text")
    return CorruptDocument("the parser rejected it: damaged or cut off; save or send it again")
