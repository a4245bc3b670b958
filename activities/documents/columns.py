"""Finds prose that is set in two columns, which must be read one column after the other."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from activities.documents.lines import Line, Span, find_lines

MIN_LINES: Final = 8
MIN_CHARACTERS: Final = 25
"""A column of prose has this many lines of this many characters; anything less is a table, or two addresses."""

_STEPS: Final = 40


def split_columns(spans: list[Span]) -> list[list[Line]]:
    """The page's lines as blocks to be read one after the other."""
    lines = find_lines(spans)
    found = _find_gutter(lines)
    if found is None:
        return [lines]
    first, last, x = found
    top, bottom = lines[first].top, lines[last].bottom
    inside = [span for span in spans if bottom <= span.box.middle <= top]
    above = [span for span in spans if span.box.middle > top]
    below = [span for span in spans if span.box.middle < bottom]
    left = find_lines(span for span in inside if span.box.left < x)
    right = find_lines(span for span in inside if span.box.left >= x)
    return [block for block in (*_blocks(above), left, right, *_blocks(below)) if block]


def _blocks(spans: list[Span]) -> list[list[Line]]:
    return split_columns(spans) if spans else []


def _find_gutter(lines: list[Line]) -> tuple[int, int, float] | None:
    """First and last line of the longest stretch of two columns, and an x between them."""
    if len(lines) < MIN_LINES:
        return None
    left = min(line.cells[0].left for line in lines)
    right = max(line.cells[-1].right for line in lines)
    best: tuple[int, int, float] | None = None
    for step in range(_STEPS // 4, _STEPS * 3 // 4 + 1):
        x = left + (right - left) * step / _STEPS
        for first, last in _stretches(lines, x):
            if (best is None or last - first > best[1] - best[0]) and _is_prose(lines[first : last + 1], x):
                best = (first, last, x)
    return best


def _stretches(lines: list[Line], x: float) -> Iterator[tuple[int, int]]:
    """Runs of lines that leave `x` free."""
    first = None
    for index, line in enumerate(lines):
        crossed = any(cell.left < x < cell.right for cell in line.cells)
        if crossed and first is not None:
            yield first, index - 1
            first = None
        elif not crossed and first is None:
            first = index
    if first is not None:
        yield first, len(lines) - 1


def _is_prose(lines: list[Line], x: float) -> bool:
    both = [line for line in lines if line.cells[0].left < x < line.cells[-1].left]
    if len(both) < MIN_LINES or len(both) < 0.6 * len(lines):
        return False
    whole = sum(len(line.cells) == 2 for line in both)
    return whole >= 0.75 * len(both) and all(
        median(len(line.cells[side].text) for line in both) >= MIN_CHARACTERS for side in (0, -1)
    )
