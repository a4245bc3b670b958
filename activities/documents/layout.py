"""Puts a page's pieces of text into the order and the columns in which a person sees them."""

import unicodedata
from statistics import median
from typing import Final

from activities.documents.columns import split_columns
from activities.documents.lines import Cell, Line, Span

MAX_BLANK_COLUMNS: Final = 8
"""Columns that are empty on a whole page are cut to this many: enough to see a table, few tokens."""

_PARAGRAPH_GAP: Final = 0.6  # of the height of a usual line


def arrange(spans: list[Span]) -> str | None:
    """The page as text in visual lines; None when it isn't mostly horizontal text from left to right."""
    level = [span for span in spans if not span.sideways]
    if len(level) < len(spans) / 2 or _right_to_left(level) > len(level) / 5:
        return None
    blocks = [render(block) for block in split_columns(level)]
    blocks.append(" ".join(span.text for span in spans if span.sideways))
    return "\n\n".join(filter(None, blocks))


def render(lines: list[Line]) -> str:
    """The lines with their cells in columns of characters, and a blank line where the page leaves space."""
    if not lines:
        return ""
    columns = _columns(lines)
    usual = median(line.top - line.bottom for line in lines)
    rows: list[str] = []
    for index, line in enumerate(lines):
        if index and lines[index - 1].bottom - line.top > _PARAGRAPH_GAP * usual:
            rows.append("")
        row = ""
        for cell in line.cells:
            start = columns[cell.left]
            row += " " * max(start - len(row), 2 if row else 0) + cell.text
        rows.append(row)
    return "\n".join(rows)


def _columns(lines: list[Line]) -> dict[float, int]:
    """The character column for each x at which a cell starts, without columns that are empty on every line."""
    cells = [cell for line in lines for cell in line.cells]
    left = min(cell.left for cell in cells)
    pitch = _pitch(cells)
    taken: set[int] = set()
    for cell in cells:
        start = round((cell.left - left) / pitch)
        taken.update(range(start, max(start + len(cell.text), round((cell.right - left) / pitch))))
    shift, last, moved = 0, -1, {}
    for column in sorted(taken):
        shift += max(0, column - last - 1 - MAX_BLANK_COLUMNS)
        moved[column] = column - shift
        last = column
    return {cell.left: moved[round((cell.left - left) / pitch)] for cell in cells}


def _pitch(cells: list[Cell]) -> float:
    """Points per character: narrow enough that most cells end before the next one starts."""
    widths = sorted((cell.right - cell.left) / len(cell.text) for cell in cells)
    return max(widths[len(widths) // 3], 0.5)


def _right_to_left(spans: list[Span]) -> int:
    return sum(unicodedata.bidirectional(span.text[0]) in ("R", "AL") for span in spans)
