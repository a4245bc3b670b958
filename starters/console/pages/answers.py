"""Answers for the approval page: read without loss, side by side with others, and in lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from activities.approvals.corrections import differences
from activities.storage import BlobStore
from engross.contracts import BlobRef
from engross.errors import NotAuthorised
from starters.console.pages.printable import at, leaves, loosely, shown_value, words_of

MOST_LINES: Final = 300
"""Lines of one answer, or differences, that are shown; the rest is counted."""


@dataclass(frozen=True)
class Line:
    """A value of an answer. `field` is its dotted path, as the document marks it."""

    label: str
    field: str
    text: str


@dataclass(frozen=True)
class Change:
    """A value before and after; None where there was, or is, none at that place."""

    label: str
    before: str | None
    after: str | None


async def read_answer(blobs: BlobStore, ref: BlobRef | None, tenant: str) -> Any:
    """The answer with exact numbers; text that is no JSON as it is, None when there is none.

    Raises `NotAuthorised` when it belongs to another tenant, `DocumentNotFound` or `CorruptDocument` when it is gone.
    """
    if ref is None:
        return None
    owned(ref, tenant)
    return loosely((await blobs.get(ref)).decode(errors="replace"))


def owned(ref: BlobRef, tenant: str) -> BlobRef:
    """`ref`, which must be of `tenant`: whoever may start workflows may write any reference into one."""
    if ref.tenant != tenant:
        raise NotAuthorised("this approval refers to what belongs to another tenant")
    return ref


def lines_of(answer: Any) -> tuple[Line, ...]:
    """The values of an answer, in its order."""
    found = islice(leaves(answer), MOST_LINES)
    return tuple(Line(words_of(path), ".".join(map(str, path)), shown_value(value)) for path, value in found)


def changes_between(before: Any, after: Any) -> tuple[Change, ...]:
    """What is different in `after`, value by value."""
    paths = islice(dict.fromkeys(differences(before, after)), MOST_LINES)
    return tuple(Change(words_of(path), _at(before, path), _at(after, path)) for path in paths)


def _at(answer: Any, path: Sequence[str | int]) -> str | None:
    parent, last = at(answer, tuple(path[:-1])), path[-1] if path else None
    if last is None:
        return None if answer is None else shown_value(answer)
    is_there = last in parent if isinstance(parent, dict) else isinstance(parent, list) and int(last) < len(parent)
    return shown_value(parent[last]) if is_there else None
