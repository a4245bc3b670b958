"""The places in a text at which a reader would cut it, from a heading down to a single character."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple


class Kind(IntEnum):
    """What stands at a boundary; the higher, the better a place to cut."""

    SPACE = 0
    SENTENCE = 1
    LINE = 2
    BLANK_LINE = 3
    TURN = 4
    PAGE = 5
    HEADING = 6


class Boundary(NamedTuple):
    """A place to cut: one piece ends at `end`, the next begins at `start`; between them is white space or nothing."""

    end: int
    start: int
    kind: Kind


_NOT_BLANK: Final = re.compile(r"\S")
_BLANK: Final = re.compile(r"\s+")
_LINE_BREAK: Final = re.compile(r"\n\s*")
# A full stop after a single letter belongs to an initial ("J. Bach", "z. B."). Chinese and Japanese need no blank.
_CLOSING: Final = r"[\"'”’»)\]」』）]*+"
_SENTENCE_END: Final = re.compile(rf"(?:(?<!\b[^\W\d_])\.|[!?…؟۔।]){_CLOSING}(\s+)|[。！？｡]{_CLOSING}(\s*)")

# Characters. Longer lines are prose, however they begin.
_LONGEST_HEADING: Final = 100
_LONGEST_CAPITALS: Final = 60
_MARKDOWN: Final = re.compile(r"#{1,6}[ \t]+\S")
_WORDS: Final = "chapter|section|article|part|appendix|annex|kapitel|abschnitt|artikel|teil|anhang|chapitre|annexe"
_NUMBER: Final = re.compile(
    rf"(?:(?i:{_WORDS})[ ](?:\d+|[IVXL]+|[A-Z])\b[.:)]?"
    r"|§+[ ]?\d+\w?"
    r"|第[一二三四五六七八九十百\d]+[章节節条條編编部]"
    r"|\d{1,2}(?:\.\d{1,3}){0,4}[.)]?(?=\s)"
    r"|(?:[IVXL]{1,6}|[A-Z])[.)](?=\s))"
)
_COLUMNS: Final = re.compile(r"\S(?:  |\t)")
_UNDERLINE: Final = re.compile(r"([=~-])\1{2,}[ \t]*")
# "Anna: ...", "Speaker 1: ...", "[doctor] ...", "[00:01:07] Anna: ...", "**Anna:** ..."; a name alone on its line, too.
_TURN: Final = re.compile(
    r"\[[^\]\n]{1,40}\]:?\s"
    r"|\(?(?:\d{1,2}:){1,2}\d{2}(?:[.,]\d+)?\)?[ \t]"
    r"|\*{0,2}(?P<name>[^\W\d_][\w.'’\-/&]{0,29}(?: [\w.'’\-/&()]{1,30}){0,3}) ?\*{0,2}(?::\*{0,2}\s|：)"
)

# What follows a label and begins with a figure is the value of a form: "Total: EUR 1.50", "Date: 2023-03-20".
_VALUE: Final = re.compile(r"(?:[A-Z]{3}\b)?[^\w\n]*+\d")

# That join the next character to the one before: for emoji, and the viramas of Indian scripts.
_JOINERS: Final = "\u200d\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d"
# That belong to the character before them: joiners, halves of halfwidth kana, parts of Hangul syllables, colours of
# skin, tags of flags; besides all combining marks.
_EXTENDS: Final = re.compile(
    "[\u200c\u200d\uff9e\uff9f\u1160-\u11ff\ud7b0-\ud7fb\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_FLAG_LETTERS: Final = re.compile("[\U0001f1e6-\U0001f1ff]")


def skip_blank(text: str, offset: int, end: int) -> int:
    """The offset of the first character that isn't white space in `text[offset:end]`; `end` when there is none."""
    found = _NOT_BLANK.search(text, offset, end)
    return found.start() if found else end


def strip_blank(text: str, start: int, end: int) -> int:
    """Where `text[start:end]` ends without its trailing white space; `start` when there is nothing else."""
    return start + len(text[start:end].rstrip())


def last_boundary(text: str, low: int, high: int) -> Boundary | None:
    """The last one of the best kind that ends after `low` and not after `high`; None when there is none."""
    low = skip_blank(text, low, high)  # else one would be found that ends before `low`
    return _best(text, low, skip_blank(text, high, len(text)), last=True)


def first_boundary(text: str, low: int, high: int) -> Boundary | None:
    """The first one of the best kind whose white space begins in `text[low:high]`; None when there is none."""
    return _best(text, low, skip_blank(text, high, len(text)), last=False)


def character_before(text: str, low: int, offset: int) -> int:
    """The last offset, up to `offset`, that parts no base from its marks and no joined emoji; `low` if there is none.

    A character begins at `low`.
    """
    while offset > low and _inside_character(text, low, offset):
        offset -= 1
    return offset


def character_after(text: str, low: int, offset: int, high: int) -> int:
    """The first such offset, from `offset` on, at which no white space is; `high` if there is none."""
    while offset < high and (text[offset].isspace() or _inside_character(text, low, offset)):
        offset += 1
    return offset


def _best(text: str, low: int, high: int, *, last: bool) -> Boundary | None:
    for find in (_lines, _sentences, _spaces):
        best: Boundary | None = None
        for found in _whole(find, text, low, high):
            if best is None or found.kind > best.kind or (last and found.kind == best.kind):
                best = found
        if best is not None:
            return best._replace(end=strip_blank(text, low, best.end))
    return None


def _whole(find: Callable[[str, int, int], Iterator[Boundary]], text: str, low: int, high: int) -> Iterator[Boundary]:
    return (found for found in find(text, low, high) if not _extends(text, found.start))


def _lines(text: str, low: int, high: int) -> Iterator[Boundary]:
    for found in _LINE_BREAK.finditer(text, low, high):
        yield Boundary(found.start(), found.end(), _kind_of_line(text, found.start(), found.end()))


def _kind_of_line(text: str, end: int, start: int) -> Kind:
    """Of the boundary between the line that ends at `end` and the one that begins at `start`."""
    line = _line_from(text, start)
    if line and _is_heading(line, text, start) and not _follows_heading(text, end):
        return Kind.HEADING
    if text.find("\f", end, start) >= 0:
        return Kind.PAGE
    if _is_turn(text, start):
        return Kind.TURN
    return Kind.BLANK_LINE if text.count("\n", end, start) > 1 else Kind.LINE


def _line_from(text: str, start: int) -> str:
    """The line, or its rest, that begins at `start`; empty when it is too long for a heading."""
    line = text[start : start + _LONGEST_HEADING + 1]
    whole, found, _ = line.partition("\n")
    return whole.rstrip() if found or len(line) <= _LONGEST_HEADING else ""


def _follows_heading(text: str, end: int) -> bool:
    """Whether the line that ends at `end` is a heading: what comes first in its section must not be parted from it."""
    end = strip_blank(text, max(0, end - 2 * _LONGEST_HEADING), end)
    start = text.rfind("\n", max(0, end - _LONGEST_HEADING - 1), end) + 1
    if start == 0 and end > _LONGEST_HEADING:
        return False
    start = skip_blank(text, start, end)
    return start < end and _is_heading(text[start:end], text, start)


def _is_heading(line: str, text: str, start: int) -> bool:
    if _MARKDOWN.match(line):
        return True
    if _COLUMNS.search(line) or line[-1] in ",;":
        return False
    return _is_capitals(line) or _is_numbered(line) or _is_underlined(line, text, start)


def _is_capitals(line: str) -> bool:
    if len(line) > _LONGEST_CAPITALS or not line.isupper() or line[-1] == "." or ": " in line:
        return False
    letters = sum(character.isalpha() for character in line)
    return letters >= 4 and 2 * letters > len(line)


def _is_numbered(line: str) -> bool:
    number = _NUMBER.match(line)
    if number is None or line[-1] in ".:":
        return False
    title = line[number.end() :].lstrip(" .:)、-–—")
    if not title:
        return True  # "Article 5"; bare figures, as of pages, are no number here
    return title[0].isalpha() and not title[0].islower()


def _is_underlined(line: str, text: str, start: int) -> bool:
    below = text.find("\n", start, start + _LONGEST_HEADING + 1) + 1
    found = _UNDERLINE.match(text, below) if below else None
    ends = found is not None and (found.end() == len(text) or text[found.end()] == "\n")
    return ends and any(character.isalpha() for character in line)


def _is_turn(text: str, start: int) -> bool:
    found = _TURN.match(text, start)
    # "the following are due:" is no name, "doctor:" may be one; "Total: 1.50" is a form, and nobody's turn
    if found is None or (found["name"] and " " in found["name"] and found["name"][0].islower()):
        return False
    return not found["name"] or _VALUE.match(text, found.end()) is None


def _sentences(text: str, low: int, high: int) -> Iterator[Boundary]:
    for found in _SENTENCE_END.finditer(text, low, high):
        blank = 1 if found[1] is not None else 2
        end, start = found.span(blank)
        # "approx. ten", "wait... what": the sentence goes on
        if start < len(text) and not (text[found.start()] == "." and text[start].islower()):
            yield Boundary(end, start, Kind.SENTENCE)


def _spaces(text: str, low: int, high: int) -> Iterator[Boundary]:
    for found in _BLANK.finditer(text, low, high):
        yield Boundary(found.start(), found.end(), Kind.SPACE)


def _extends(text: str, offset: int) -> bool:
    """Whether the code point at `offset` belongs to the character before it."""
    if offset == len(text):
        return False
    return unicodedata.category(text[offset])[0] == "M" or _EXTENDS.match(text, offset) is not None


def _inside_character(text: str, low: int, offset: int) -> bool:
    if offset == len(text):
        return False
    if _extends(text, offset) or text[offset - 1] in _JOINERS:
        return True
    if not _FLAG_LETTERS.match(text, offset):
        return False
    before = offset
    while before > low and _FLAG_LETTERS.match(text, before - 1):
        before -= 1
    return (offset - before) % 2 == 1
