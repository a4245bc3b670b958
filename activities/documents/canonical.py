"""The text of a document in its one official form: what models read and what quotes are aligned to."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from engross.errors import EmptyDocument

PAGE_BREAK: Final = "\n\f\n"
PAGES_WITHOUT_TEXT: Final = "pages-without-text"

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_LINE_BREAKS: Final = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Invisible characters: they hide text from a person that a model would read, or break up what a person would search.
_INVISIBLE: Final = (
    ("cleaned-control", re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]")),
    ("cleaned-bidi", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")),
    ("cleaned-zero-width", re.compile("[\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff]")),
    ("cleaned-tags", re.compile("[\U000e0000-\U000e007f\U000e0100-\U000e01ef]")),
)


class CanonicalText(BaseModel):
    """A document's text, as its blob holds it in JSON.

    `text` is the pages joined by `PAGE_BREAK`; `page_starts` the offset in code points of each page's first character;
    `flags` say what was removed or is missing.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    page_starts: tuple[int, ...]
    flags: tuple[str, ...] = ()

    def page_at(self, offset: int) -> int:
        """The number, from 1, of the page that holds the character at `offset`; a break belongs to the page before it.

        Raises IndexError outside the text.
        """
        if not 0 <= offset <= len(self.text):
            raise IndexError(f"offset {offset} is outside the text of {len(self.text)} characters")
        return bisect_right(self.page_starts, offset)


def canonical(pages: Sequence[str], flags: Iterable[str] = ()) -> CanonicalText:
    """Cleans the pages and joins them; `flags` are kept and those of the cleaning added.

    Raises `EmptyDocument` when nothing is left.
    """
    found = set(flags)
    cleaned = [_clean(page, found) for page in pages]
    if not any(cleaned):
        raise EmptyDocument("the document holds no text; check that it is the right one")
    if not all(cleaned):
        found.add(PAGES_WITHOUT_TEXT)
    starts, offset = [], 0
    for page in cleaned:
        starts.append(offset)
        offset += len(page) + len(PAGE_BREAK)
    return CanonicalText(text=PAGE_BREAK.join(cleaned), page_starts=tuple(starts), flags=tuple(sorted(found)))


def _clean(page: str, found: set[str]) -> str:
    page = _LINE_BREAKS.sub("\n", _join_surrogates(page, found))
    for flag, pattern in _INVISIBLE:
        page, removed = pattern.subn("", page)
        if removed:
            found.add(flag)
    # NFC only: NFKC would turn the printed "1½" into "11⁄2".
    page = unicodedata.normalize("NFC", page)
    return "\n".join(line.rstrip() for line in page.split("\n")).strip("\n")


def _join_surrogates(page: str, found: set[str]) -> str:
    if not _SURROGATES.search(page):
        return page
    joined = page.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    pairs = sum(character > "\uffff" for character in joined) - sum(character > "\uffff" for character in page)
    if len(page) - len(joined) > pairs:
        found.add("cleaned-surrogates")
    return joined
