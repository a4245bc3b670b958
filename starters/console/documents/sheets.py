"""A document's text in sheets, each small enough for one answer of the console."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from activities.documents.canonical import PAGE_BREAK, CanonicalText

MOST_CHARACTERS: Final = 24_000
"""Of a sheet. Escaped, a character takes at most five bytes."""


@dataclass(frozen=True)
class Sheet:
    """A page, or one part of `parts` of a page that is too long to be shown at once. Numbers count from 1.

    `start` and `end` are its offsets in the text.
    """

    page: int
    part: int
    parts: int
    start: int
    end: int


def sheets(text: CanonicalText) -> list[Sheet]:
    """All of the text, in order."""
    found = []
    for page, (start, end) in enumerate(_pages(text), 1):
        ends = [*_cuts(text.text, start, end), end]
        starts = [start, *ends[:-1]]
        parts = enumerate(zip(starts, ends, strict=True), 1)
        found += [Sheet(page, part, len(ends), *offsets) for part, offsets in parts]
    return found


def _pages(text: CanonicalText) -> Iterator[tuple[int, int]]:
    """Without the breaks between them."""
    following = [start - len(PAGE_BREAK) for start in text.page_starts[1:]]
    return zip(text.page_starts, [*following, len(text.text)], strict=True)


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Where a long page is parted: after a line, else after a word, else anywhere."""
    while end - start > MOST_CHARACTERS:
        limit = start + MOST_CHARACTERS
        half = start + MOST_CHARACTERS // 2
        start = text.rfind("\n", half, limit) + 1 or text.rfind(" ", half, limit) + 1 or limit
        yield start
