"""Texts as they are compared: without what differs between an answer and the print it was read from."""

import re
import unicodedata
from array import array
from dataclasses import dataclass
from typing import Final, NamedTuple

_DASHES: Final = dict.fromkeys("‐‑‒–—―−﹣－", "-")
_QUOTES: Final = dict.fromkeys("‘’‚‛′`´ʼ", "'") | dict.fromkeys("“”„‟″«»", '"')
# Letters of scripts that set no space between words: whatever stands beside one is a word of its own.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_MOST_TRIES: Final = 10_000
_NUMBER_MARKS: Final = ".,'/:-"


class Span(NamedTuple):
    """From the offset `start` to before `end`, in code points."""

    start: int
    end: int


@dataclass(frozen=True)
class Folded:
    """`text` in lower case, without accents, with one space for any white space; `offsets` of each of its characters.

    Offsets are those in the text that was folded.
    """

    text: str
    offsets: "array[int]"

    def original(self, span: Span) -> Span:
        """Where a span of `text` stands in the text that was folded."""
        return Span(self.offsets[span.start], self.offsets[span.end - 1] + 1)

    def find(self, needle: str, most: int) -> list[Span]:
        """Where the folded `needle` stands in `text` as whole words and numbers: at most so many places.

        A needle that is in very many longer words, and nowhere else at first, is given up.
        """
        found: list[Span] = []
        start = self.text.find(needle) if needle else -1
        for _ in range(_MOST_TRIES):
            if start < 0 or len(found) == most:
                break
            span = Span(start, start + len(needle))
            whole = self.is_whole(span)
            if whole:
                found.append(span)
            start = self.text.find(needle, span.end if whole else start + 1)
        return found

    def is_whole(self, span: Span) -> bool:
        """Whether the span of `text` cuts no word and no number."""
        start, end = span
        before, after = self.text[max(start - 2, 0) : start], self.text[end : end + 2]
        part = self.text[start:end]
        return not _goes_on(part, before[::-1], part[0]) and not _goes_on(part, after, part[-1])


def fold(text: str) -> Folded:
    """The text as it is compared, with the way back."""
    pieces: list[str] = []
    offsets = array("Q")
    blank = True  # none at the start
    for offset, character in enumerate(text):
        piece = _FOLDS[character]
        if piece == " ":
            if blank:
                continue
            blank = True
        elif piece:
            blank = False
        pieces.append(piece)
        offsets.extend([offset] * len(piece))
    return Folded("".join(pieces), offsets)


def folded(text: str) -> str:
    """What is searched for, as `Folded.find` takes it."""
    return fold(text).text.rstrip()


def _goes_on(part: str, beside: str, edge: str) -> bool:
    """Whether a word or number at the `edge` of `part` goes on in the characters beside it, nearest first."""
    if not beside or not edge.isalnum():
        return False
    if edge.isdigit() and beside[0] in _NUMBER_MARKS and beside[1:].isdigit():
        return True
    # A number with a decimal mark is one even where a unit or a currency touches it.
    if edge.isdigit() and beside[0].isalpha() and not part.isdigit() and not any(map(str.isalpha, part)):
        return False
    return _is_word(beside[0]) and not _UNSPACED.match(beside[0]) and not _UNSPACED.match(edge)


def _is_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


class _Folds(dict[str, str]):
    """What each character becomes, worked out on its first use. At most one entry for each code point."""

    def __missing__(self, character: str) -> str:
        self[character] = piece = _fold_character(character)
        return piece


def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category in ("Cc", "Cf", "Cs") or "\u0300" <= character <= "\u036f":
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "No":  # the 2 of "m²" is not one that belongs to a number
        return character
    if character in _DASHES or character in _QUOTES:
        return _DASHES.get(character) or _QUOTES[character]
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(part for part in plain if not "\u0300" <= part <= "\u036f" and not part.isspace())


_FOLDS: Final = _Folds()
