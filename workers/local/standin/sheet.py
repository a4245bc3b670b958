"""A document as lines of cells: where its labels stand, and what stands beside and below them."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from .vocabulary import ITEMS

T = TypeVar("T")

_WIDEST = 500  # columns: a document may come as one endless line, and every label on a line is held against others
_CELL = re.compile(r"\S+(?: \S+)*")
_LEAD = re.compile(r"[\W_]*$")
_SUB = re.compile(r"\bsub[\s-]*$")
# What may stand between a label and the end of its cell when the value is below: ":", "(EUR)", "sales (incl. tax):".
_OPEN = re.compile(r"\W*(?:\([^()\d]{0,30}\)\W*|(?:[^\W\d]{1,4}\W+)?[^\W\d]{1,4}\W*|[^\d:]{0,30}:\W*)?")


@dataclass(frozen=True)
class Cell:
    """Text without wide gaps, and its columns on its line (0-based, end exclusive)."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Hit:
    """A label found on line `line` at columns `start` to `end`; `leads` says that its cell begins with it."""

    line: int
    start: int
    end: int
    leads: bool
    cell: Cell


class _Folding(dict[int, str]):
    """Character by character, computed once each: folding a long document costs one table look-up a character."""

    def __missing__(self, code: int) -> str:
        self[code] = unicodedata.normalize("NFKD", chr(code))[0].lower()[0]
        return self[code]


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Lower case without accents, of the same length, so that offsets stay true."""
    return text.lower() if text.isascii() else text.translate(_FOLDING)


@lru_cache(maxsize=1024)
def _pattern(label: str) -> re.Pattern[str]:
    words = r"[.:_-]? ?[.:_-]?".join(re.escape(word) for word in fold(label).split())
    words = words.replace("n°", r"n(?:°|o(?![^\W\d_]))")  # "nº" folds to "no"
    end = r"(?![^\W_])" if label[-1:].isalnum() else ""
    return re.compile(rf"(?<![^\W_]){words}{end}")


class Sheet:
    """One document. Labels are matched without regard to case and accents, at word boundaries."""

    def __init__(self, text: str) -> None:
        self.text = text
        whole = text.expandtabs(4).splitlines()
        self.lines = [line[at : at + _WIDEST] for line in whole for at in range(0, len(line) or 1, _WIDEST)]
        self.cells = [[Cell(m[0], m.start(), m.end()) for m in _CELL.finditer(line)] for line in self.lines]
        self._folded = [fold(line) for line in self.lines]
        self._whole = "\n".join(self._folded)
        self._found: dict[str, dict[int, list[Hit]]] = {}  # label -> line -> hits

    def hits(self, label: str) -> list[Hit]:
        """Every place where `label` stands."""
        return [hit for hits in self._lines_with(label).values() for hit in hits]

    def _lines_with(self, label: str) -> dict[int, list[Hit]]:
        if label not in self._found:
            pattern, word = _pattern(label), fold(label).split()[0]
            lines = enumerate(self._folded) if word in self._whole else []
            matches = {at: list(pattern.finditer(line)) for at, line in lines if word in line}
            self._found[label] = {
                at: [self._hit(at, m.start(), m.end()) for m in found] for at, found in matches.items() if found
            }
        return self._found[label]

    def _hit(self, at: int, start: int, end: int) -> Hit:
        cell = next((c for c in self.cells[at] if c.start <= start < c.end), Cell("", start, end))
        before = self._folded[at][cell.start : start]
        return Hit(at, start, end, bool(_LEAD.match(before)) and not _SUB.search(before), cell)

    def find(
        self, labels: Sequence[str], rivals: Sequence[str], parse: Callable[[str], T | None], reach: int = 2
    ) -> list[T]:
        """What `parse` reads at the labels: best label first; one that begins its cell beats one inside a sentence.

        `rivals` are labels of other fields: "Due date" keeps "Date" from matching inside it. Below a label, `reach`
        lines count.
        """
        ranked = []
        for rank, label in enumerate(labels):
            for hit in self.hits(label):
                value = None if self._taken(hit, rivals) else self.read(hit, [*labels, *rivals], parse, reach)
                if value is not None:
                    ranked.append((not hit.leads, rank, hit.line, value))
        return [value for *_, value in sorted(ranked, key=lambda found: found[:3])]

    def read(self, hit: Hit, labels: Sequence[str], parse: Callable[[str], T | None], reach: int = 2) -> T | None:
        """What `parse` reads right of the hit, up to the next of the `labels`, else below it."""
        line = self.lines[hit.line]
        stops = [other.start for other in self._on(hit.line, labels) if other.start >= hit.end]
        stops = [s for s in stops if line[:s].endswith("  ") or re.search(r"\d\W*$", line[max(0, s - 4) : s])]
        value = parse(line[hit.end : min(stops, default=len(line))])
        if value is not None or not _OPEN.fullmatch(line[hit.end : hit.cell.end]):
            return value
        return next((found for text in self._below(hit, reach) if (found := parse(text)) is not None), None)

    def _on(self, line: int, labels: Sequence[str]) -> list[Hit]:
        return [hit for label in labels for hit in self._lines_with(label).get(line, ())]

    def _taken(self, hit: Hit, rivals: Sequence[str]) -> bool:
        """Whether the hit is part of "sub-" something or of a longer label of another field."""
        if _SUB.search(self._folded[hit.line][: hit.start]):
            return True
        longer = (other for other in self._on(hit.line, rivals) if other.end - other.start > hit.end - hit.start)
        return any(other.start <= hit.start and other.end >= hit.end for other in longer)

    def _below(self, hit: Hit, reach: int) -> list[str]:
        """The cells under the label's cell, on the first of the next `reach` filled lines that has any there."""
        if ITEMS.search(self._folded[hit.line]):
            return []  # what stands under the head of a table of items belongs to the first item
        filled = (at for at in range(hit.line + 1, len(self.lines)) if self.cells[at])
        for at in islice(filled, reach):
            under = [c.text for c in self.cells[at] if c.start < hit.cell.end + 2 and c.end > hit.cell.start - 2]
            if under:
                return under
        return []
