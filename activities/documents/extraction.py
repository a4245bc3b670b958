"""From bytes to canonical text, in a child."""

from activities.documents import archives, plain
from activities.documents.canonical import CanonicalText, canonical
from activities.documents.office import OfficeReader
from activities.documents.pdf import read_pdf
from activities.documents.sniff import Format, sniff

_office = OfficeReader()


def extract(data: bytes, suffix: str, *, max_expanded_mb: int) -> CanonicalText:
    """The canonical text of a document whose name ends in `suffix`. Raises `DocumentError`s."""
    return read(data, sniff(data, suffix), max_expanded_mb=max_expanded_mb)


def read(data: bytes, kind: Format, *, max_expanded_mb: int) -> CanonicalText:
    """The canonical text of a document of that format. Raises `DocumentError`s."""
    if kind is Format.PDF:
        return canonical(read_pdf(data))
    if kind is Format.TEXT:
        return canonical(*plain.read(data))
    if kind is Format.HTML:
        text, flags = plain.decode_html(data)
        return canonical(_office.read(text.encode(errors="replace"), kind), flags)
    if data.startswith(b"PK"):
        archives.check(data, max_expanded_mb)
    return canonical(_office.read(data, kind))


def warm_up() -> None:
    """Makes the libraries load what they load on first use, threads and all, before memory is limited."""
    _office.read(b"<html><body><p>warm</p></body></html>", Format.HTML)
