"""What the template of answers needs to know of them."""

from typing import Any, Final

from starters.console.pages.printable import one_line, pretty, visible

_MOST_COLUMNS: Final = 8
_LONGEST_ROW: Final = 400
_LONGEST_WORD: Final = 40
_MOST_WORDS: Final = 30


def as_label(name: str) -> str:
    """The name of a field as people say it."""
    text = one_line(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def is_table(items: list[Any]) -> bool:
    """Whether these are objects with the same few fields, all of them short, so that columns say more than a list."""
    first = items[0] if items else None
    if not isinstance(first, dict) or not 0 < len(first) <= _MOST_COLUMNS:
        return False
    return all(isinstance(item, dict) and item.keys() == first.keys() and _is_short(item) for item in items)


def is_line(value: Any) -> bool:
    """Whether it is a list that fits on a line: a few short words or numbers."""
    return isinstance(value, list) and 0 < len(value) <= _MOST_WORDS and all(map(_is_word, value))


def _is_short(item: dict[str, Any]) -> bool:
    are_plain = all(is_line(value) or not isinstance(value, dict | list) for value in item.values())
    return are_plain and sum(len(str(value)) for value in item.values()) <= _LONGEST_ROW


def _is_word(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= _LONGEST_WORD


SHOWING: Final[dict[str, Any]] = {
    "as_label": as_label,
    "is_line": is_line,
    "is_table": is_table,
    "visible": visible,
    "as_json": pretty,
}
"""For the context of `answer.html`."""
