"""Names of form fields: `f.lines.0.total`, with a suffix such as `:was` for what accompanies a field."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from engross.errors import InvalidRequest
from starters.console.forms.limits import MOST_FIELDS, MOST_PAIRS

ROOT: Final = "f"

WAS: Final = "was"  # the value as JSON, where a field can't show it exactly; nothing: it wasn't there
HERE: Final = "here"  # the object or list is there
NONE: Final = "none"  # the empty list is null
FROM: Final = "from"  # the number that the item has among those proposed; nothing: it was added
KEY: Final = "key"  # the name of a row
JSON: Final = "json"  # the field holds JSON
MORE: Final = "more"  # JSON with the values that the schema doesn't know

_DEEPEST: Final = 40


def join(name: str, part: str | int) -> str:
    """The name of what is called `part` within `name`."""
    return f"{name}.{escaped(str(part))}"


def escaped(part: str) -> str:
    """`part` such that it can stand in a name, an id and a list of ids."""
    return quote(part, safe="", errors="replace").replace(".", "%2E")


@dataclass
class Posted:
    """What was posted under one name: `values` by suffix (the field's own is ""), `children` as the page has them."""

    values: dict[str, str] = field(default_factory=dict)
    children: dict[str, "Posted"] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        return self.values.get("")

    def child(self, part: str | int) -> "Posted":
        """What was posted under `part`; nothing when nothing was."""
        return self.children.get(escaped(str(part)), Posted())


def collect(items: Iterable[tuple[str, str]]) -> Posted:
    """The posted names as a tree; of a name that comes twice the last counts. Raises `InvalidRequest`: too many."""
    top, fields = Posted(), set()
    for count, (name, value) in enumerate(items, 1):
        path, _, suffix = name.partition(":")
        parts = path.split(".")
        if parts[0] != ROOT:
            continue
        fields.add(path)
        if count > MOST_PAIRS or len(fields) > MOST_FIELDS or len(parts) > _DEEPEST:
            raise InvalidRequest(f"The form is too large: send at most {MOST_FIELDS:,} fields.")
        node = top
        for part in parts[1:]:
            node = node.children.setdefault(part, Posted())
        node.values[suffix] = value
    return top
