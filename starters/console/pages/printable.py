"""Text from documents, models and people, as it may stand among words of ours."""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from starters.console.forms import dumps, loads

# Joins letters in Persian and Indian scripts, and parts of emoji.
_JOINERS: Final = "\u200c\u200d"
_KEPT: Final = "\n\t" + _JOINERS
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` with characters that are not seen, but turn or hide what stands beside them, as their numbers."""
    return "".join(char if _is_seen(char) else f"⟨{ord(char):04X}⟩" for char in text)


def one_line(text: str, most: int = 200) -> str:
    """`text` for a list: without line ends, and not without an end."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_value(value: Any) -> str:
    """A scalar of an answer as people read it, other values as JSON."""
    if isinstance(value, str):
        return visible(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, dict | list):
        return visible(dumps(value, indent=2))
    return str(value)


def pretty(value: Any) -> str:
    """`value` as indented JSON; text that is no JSON as it is."""
    return visible(value if isinstance(value, str) else dumps(value, indent=2))


def words_of(path: tuple[str | int, ...]) -> str:
    """A path as people say it: `lines › 1 › total` for the total of the first of the lines."""
    return " › ".join(str(part + 1) if isinstance(part, int) else _label(part) for part in path) or "Answer"


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The scalars of `value`, and what is empty, each with its path."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict | list) and value:
        for key, inner in parts:
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """What is at `path`; None when nothing is."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def loosely(text: str) -> Any:
    """The JSON value in `text`, with exact numbers where they can be had; the text itself when it is none."""
    try:
        return loads(text)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _label(part: str) -> str:
    text = visible(part).replace("_", " ")
    return text[:1].upper() + text[1:]


def _is_seen(char: str) -> bool:
    return char in _KEPT or unicodedata.category(char) not in _HIDDEN
