"""Pieces of text on a page, and the visual lines they make."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

CELL_GAP: Final = 0.8
"""Of a character's height; a gap this wide is no space, even in justified prose."""


class Box(NamedTuple):
    """A rectangle in points, from the page's lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> float:
        return (self.bottom + self.top) / 2

    @property
    def height(self) -> float:
        return self.top - self.bottom


class Span(NamedTuple):
    """A piece of text on one line and where it stands; `sideways` when it isn't written from left to right."""

    text: str
    box: Box
    sideways: bool = False


@dataclass
class Cell:
    """What stands together on one line."""

    text: str
    left: float
    right: float


@dataclass
class Line:
    """One visual line: its cells from left to right, its height from `bottom` to `top`."""

    cells: list[Cell]
    bottom: float
    top: float


def find_lines(spans: Iterable[Span]) -> list[Line]:
    """Spans whose middles are level, as lines from top to bottom."""
    groups: list[list[Span]] = []
    middle = height = 0.0
    for span in sorted(spans, key=lambda span: -span.box.middle):
        if groups and middle - span.box.middle < 0.5 * min(height, span.box.height):
            groups[-1].append(span)
            height = max(height, span.box.height)
        else:
            groups.append([span])
            middle, height = span.box.middle, span.box.height
    return [_line(group) for group in groups]


def _line(spans: list[Span]) -> Line:
    spans.sort(key=lambda span: span.box.left)
    gap = CELL_GAP * median(span.box.height for span in spans)
    cells: list[Cell] = []
    for text, box, _ in spans:
        if cells and box.left - cells[-1].right < gap:
            cells[-1].text += " " + text
            cells[-1].right = max(cells[-1].right, box.right)
        else:
            cells.append(Cell(text, box.left, box.right))
    return Line(cells, min(span.box.bottom for span in spans), max(span.box.top for span in spans))
