"""A document as lines of cells: where labels stand, and what stands right of them and below."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeVar

from .fold import fold
from .prose import Prose

T = TypeVar("T")

_LONGEST, _WIDEST = 200_000, 2_000  # characters of a text and of a line that are looked at: rules take time
_PLACES, _BESIDE = 200, 300  # places of one label, and characters right of it
_CELL = re.compile(r"\S+(?: \S+)*")
# What may stand between a label and the end of its cell when the value is below: ":", "(EUR)", "sales (incl. tax):".
_OPEN = re.compile(r"\W*(?:\([^()\d]{0,30}\)\W*|(?:[^\W\d]{1,4}\W+)?[^\W\d]{1,4}\W*|[^\d:]{0,30}:\W*)?")
_ITEMS = re.compile(
    r"\b(?:descriptions?|qty|quantity|unit price|menge|beschreibung|quantite|aantal|cantidad|quantita)\b"
)


class Hit(NamedTuple):
    """A label on `line` from `start` to `end`, in `cell`; `leads` says that the cell begins with it."""

    line: int
    start: int
    end: int
    cell: re.Match[str]
    leads: bool


class Sheet:
    """One document. Labels are matched without regard to case and accents, at word boundaries."""

    def __init__(self, text: str) -> None:
        self.text = text[:_LONGEST]
        self.lines = [line[:_WIDEST] for line in self.text.expandtabs(4).splitlines()]
        self.cells = [list(_CELL.finditer(line)) for line in self.lines]
        self._folded = [fold(line) for line in self.lines]
        self._whole = "\n".join(self._folded)
        self._hits: dict[str, dict[int, list[Hit]]] = {}  # label -> line -> places

    @cached_property
    def prose(self) -> Prose:
        """The same text as sentences."""
        return Prose(self.text)

    def hits(self, label: str) -> dict[int, list[Hit]]:
        """The places where `label` stands, by line."""
        if label not in self._hits:
            spelt = r"[.:_-]? ?[.:_-]?".join(map(re.escape, fold(label).split())).replace("n°", "n[°o]")
            pattern = re.compile(rf"(?<![^\W_]){spelt}" + r"(?![^\W_])" * label[-1:].isalnum())
            lines = (
                enumerate(self._folded) if max(fold(label).split(), key=len) in self._whole else ()
            )  # most labels are nowhere
            places = ((at, m) for at, line in lines for m in pattern.finditer(line))
            self._hits[label] = {}
            for at, m in islice(places, _PLACES):
                cell = next(c for c in self.cells[at] if c.end() > m.start())
                leads = not re.search(r"[^\W_]", self.lines[at][cell.start() : m.start()])
                self._hits[label].setdefault(at, []).append(Hit(at, *m.span(), cell, leads))
        return self._hits[label]

    def find(self, labels: Sequence[str], rivals: Sequence[str], parse: Callable[[str], T | None]) -> list[T]:
        """What `parse` reads at the labels: best label first; one that begins its cell beats one inside a sentence.

        `rivals` are labels of other fields: "Due date" keeps "Date" from matching inside it.
        """
        ranked = []
        for rank, label in enumerate(labels):
            for hit in (hit for hits in self.hits(label).values() for hit in hits):
                value = None if self._taken(hit, rivals) else self.read(hit, [*labels, *rivals], parse)
                if value is not None:
                    ranked.append((not hit.leads, rank, hit.line, value))
        return [value for *_, value in sorted(ranked, key=lambda found: found[:3])]

    def read(self, hit: Hit, labels: Sequence[str], parse: Callable[[str], T | None]) -> T | None:
        """What `parse` reads right of the hit, up to the next of the `labels`, else below it."""
        line = self.lines[hit.line]
        starts = [other.start for other in self._on(hit.line, labels) if other.start >= hit.end]
        stops = [at for at in starts if re.search(r"\d\W{0,3}$|\s\s$", line[max(0, at - 4) : at])]
        value = parse(line[hit.end : min([*stops, hit.end + _BESIDE])])
        if value is not None or not _OPEN.fullmatch(line[hit.end : hit.cell.end()]):
            return value
        below = [] if _ITEMS.search(self._folded[hit.line]) else self.cells[hit.line + 1 : hit.line + 4]
        left = hit.cell.start() - 2
        under = [c for c in next(filter(None, below), []) if c.start() < hit.cell.end() + 2 and c.end() > left]
        return next((found for c in under if (found := parse(c[0])) is not None), None)

    def _on(self, line: int, labels: Sequence[str]) -> list[Hit]:
        return [hit for label in labels for hit in self.hits(label).get(line, ())]

    def _taken(self, hit: Hit, rivals: Sequence[str]) -> bool:
        """Whether the hit is part of "sub-" something or of a longer label of another field."""
        over = (o for o in self._on(hit.line, rivals) if o.start <= hit.start and o.end >= hit.end)
        sub = re.search(r"\bsub[\s-]?$", self._folded[hit.line][: hit.start])
        return bool(sub) or any(o.end - o.start > hit.end - hit.start for o in over)
