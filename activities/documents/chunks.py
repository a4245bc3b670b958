"""Splits a document's text into pieces that a model can read, by tokens, at boundaries that a reader would choose."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from activities.documents.boundaries import (
    character_after,
    character_before,
    first_boundary,
    last_boundary,
    skip_blank,
    strip_blank,
)
from activities.documents.canonical import CanonicalText
from activities.models.tokens import count_tokens

_LONGEST_TOKEN: Final = 128  # characters, in o200k_base
# Characters that are counted at a time to learn where tokens are many: more is quicker and less exact.
_SHORTEST_UNIT: Final = 32
_LONGEST_UNIT: Final = 400
# Near the end the rest is counted before it is cut: an estimate this far too high would leave a scrap for a last piece.
_ESTIMATE_ERROR: Final = 1.05
_GUESSES: Final = 4  # after which a piece that is too long is halved, so that a bad estimate costs little


@dataclass(frozen=True)
class Piece:
    """A part of a document's text, `text[start:end]` in code points, neither end blank.

    `tokens` are those of o200k_base; pages are numbered from 1.
    """

    start: int
    end: int
    tokens: int
    first_page: int
    last_page: int


def split(text: CanonicalText, *, most_tokens: int, overlap_tokens: int) -> list[Piece]:
    """The pieces in order; all that isn't white space is in one of them, and none has more than `most_tokens`.

    Only a single code point that has more by itself stays whole. A piece ends at the best boundary in the second half
    of what fits, and begins up to `overlap_tokens` before the last one's end. A blank text has no pieces. Takes about
    0.25 s/MB: call it in a thread. Raises ValueError for `most_tokens` below 1, or `overlap_tokens` below 0 or above
    half of `most_tokens`.
    """
    if most_tokens < 1:
        raise ValueError(f"most_tokens is {most_tokens}; it must be 1 or more")
    if not 0 <= overlap_tokens <= most_tokens // 2:
        raise ValueError(
            f"overlap_tokens is {overlap_tokens}; it must be from 0 to half of most_tokens ({most_tokens})"
        )
    first = skip_blank(text.text, 0, len(text.text))
    last = strip_blank(text.text, first, len(text.text))
    if first == last:
        return []
    if last - first <= _LONGEST_TOKEN * most_tokens:
        tokens = count_tokens(text.text[first:last])
        if tokens <= most_tokens:
            return [_piece(text, first, last, tokens)]
    return _Cutter(text, first, last, most_tokens, overlap_tokens).pieces()


def _piece(text: CanonicalText, start: int, end: int, tokens: int) -> Piece:
    return Piece(start, end, tokens, text.page_at(start), text.page_at(end - 1))


class _Scale:
    """Estimates tokens between offsets: exact at the ends of units, in proportion to characters inside them."""

    def __init__(self, text: str, start: int, end: int, unit: int) -> None:
        self._offsets, self._totals = [start], [0]
        while start < end:
            stop = min(start + unit, end)
            if stop < end:  # before a blank, where tokens begin, so that the sum is that of the whole text
                blank = text.rfind(" ", start + unit // 2, stop)
                stop = stop if blank < 0 else blank
            self._totals.append(self._totals[-1] + count_tokens(text[start:stop]))
            self._offsets.append(stop)
            start = stop

    def between(self, start: int, end: int) -> float:
        return self._total(end) - self._total(start)

    def move(self, offset: int, tokens: float) -> int:
        """The offset `tokens` after `offset`, or before it; never outside the text."""
        return int(_interpolate(self._totals, self._offsets, self._total(offset) + tokens))

    def _total(self, offset: int) -> float:
        return _interpolate(self._offsets, self._totals, offset)


def _interpolate(known: list[int], values: list[int], at: float) -> float:
    right = min(max(bisect_right(known, at), 1), len(known) - 1)
    left = right - 1
    share = (at - known[left]) / (known[right] - known[left])
    return values[left] + min(max(share, 0.0), 1.0) * (values[right] - values[left])


class _Cutter:
    """Cuts `text[first:last]`, neither end blank."""

    def __init__(self, text: CanonicalText, first: int, last: int, most: int, overlap: int) -> None:
        self._canonical, self._text = text, text.text
        self._first, self._last, self._most, self._overlap = first, last, most, overlap
        self._scale = _Scale(self._text, first, last, min(max(most, _SHORTEST_UNIT), _LONGEST_UNIT))

    def pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        start = new = self._first
        while new < self._last:
            found = self._cut(start, new)
            if found is None:
                start = new  # nothing fits behind the overlap
                continue
            end, tokens = found
            pieces.append(_piece(self._canonical, start, end, tokens))
            new = skip_blank(self._text, end, self._last)
            start = self._overlap_start(start, end) or new
        return pieces

    def _cut(self, start: int, new: int) -> tuple[int, int] | None:
        """End and tokens of the piece from `start`; None when it can't reach past `new`, the end of its overlap."""
        limit, guesses = self._farthest(start), 0
        while True:
            limit = strip_blank(self._text, start, limit)
            if limit <= new:
                if start < new:
                    return None
                limit = start + 1
            end = self._best_end(new, limit)
            tokens = count_tokens(self._text[start:end])
            if tokens <= self._most or end == start + 1:
                return end, tokens
            guesses += 1
            limit = new + (end - new) // 2
            if guesses <= _GUESSES:
                limit = max(limit, min(end - 1, self._scale.move(end, self._most - tokens)))

    def _farthest(self, start: int) -> int:
        if self._scale.between(start, self._last) <= _ESTIMATE_ERROR * self._most:
            return self._last
        return self._scale.move(start, self._most)

    def _best_end(self, new: int, limit: int) -> int:
        """The best end up to `limit` that leaves at least half of what is after `new`."""
        if limit == self._last:
            return limit
        half = self._scale.move(new, self._scale.between(new, limit) / 2)
        found = last_boundary(self._text, min(max(half, new + 1), limit), limit)
        if found is not None:
            return found.end
        whole = strip_blank(self._text, new, character_before(self._text, new, limit))
        return whole if whole > new else limit

    def _overlap_start(self, start: int, end: int) -> int | None:
        """Where the piece after `text[start:end]` begins; None when no overlap of whole characters is small enough."""
        low, guesses = max(self._scale.move(end, -self._overlap), start + 1), 0
        while self._overlap and low < end:
            begin = self._best_start(start, low, end)
            tokens = count_tokens(self._text[begin:end])
            if tokens <= self._overlap:
                return begin if begin < end else None
            guesses += 1
            low = begin + (end - begin + 1) // 2
            if guesses <= _GUESSES:
                low = min(low, max(begin + 1, self._scale.move(begin, tokens - self._overlap)))
        return None

    def _best_start(self, start: int, low: int, end: int) -> int:
        """The best start from `low` on, if possible in the first half of what is before `end`."""
        half = self._scale.move(low, self._scale.between(low, end) / 2)
        for high in (half, end - 1):
            found = first_boundary(self._text, low - 1, min(high, end - 1))
            if found is not None:
                return found.start
        return character_after(self._text, start, low, end)
