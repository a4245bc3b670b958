"""Exports of the audit log: JSON lines that can be verified without the database.

Behind its lines, an export has an end for each tenant, which says where they begin and where they stop: without it,
nobody could tell that the last lines of a file are gone.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from activities.approvals.chain import Fields, Finding, Flaw, Head, Seals, Walk
from engross.contracts import Contract

_MOST_UNREADABLE: Final = 100


class ExportEnd(Contract):
    """The lines of `tenant` in an export are those with the numbers from `first` to `count`; `hash` is the last's."""

    kind: Literal["end"] = "end"
    tenant: str
    first: int
    count: int
    hash: str
    mac: str


@dataclass(frozen=True)
class Verified:
    """What an export holds of each tenant, and what is wrong with it."""

    heads: list[Head]
    findings: list[Finding]


def export_end(seals: Seals, first: int, head: Head) -> ExportEnd:
    """The end of an export of the lines from number `first` to those of `head`."""
    mac = seals.mac("export", head.tenant, first, head.count, head.hash)
    return ExportEnd(tenant=head.tenant, first=first, count=head.count, hash=head.hash, mac=mac)


def verify_export(lines: Iterable[str], secret: bytes | None) -> Verified:
    """Goes through an export, line by line; without the secret only along the chain, which anybody can compute."""
    check = _Check(Seals(secret))
    for place, line in enumerate(lines, start=1):
        if line.strip():
            check.see(place, _read(line))
    return check.result()


def exported_lines(lines: Iterable[str]) -> Iterator[Fields]:
    """The lines of the log in an export, without its ends and what cannot be read."""
    for line in lines:
        fields = _read(line)
        if fields is not None and not _is_end(fields):
            yield fields


@dataclass
class _Check:
    seals: Seals
    walks: dict[str, Walk] = field(default_factory=dict)
    ends: dict[str, Fields] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)

    def see(self, place: int, fields: Fields | None) -> None:
        tenant = None if fields is None else fields.get("tenant")
        if fields is None or not isinstance(tenant, str):
            if len(self.unreadable) < _MOST_UNREADABLE:
                self.unreadable.append(Finding("", place, Flaw.UNREADABLE))
            return
        walk = self.walks.setdefault(tenant, Walk(tenant, self.seals, first=None))
        if _is_end(fields):
            self._see_end(walk, fields)
        elif tenant in self.ends:
            walk.find(walk.last, Flaw.MISPLACED)
        else:
            walk.see(fields)

    def result(self) -> Verified:
        for tenant, walk in self.walks.items():
            if tenant not in self.ends:
                walk.find(walk.last + 1, Flaw.CUT_OFF)
        heads = [Head(tenant, walk.last, walk.hash) for tenant, walk in self.walks.items()]
        return Verified(heads, [*self.unreadable, *(each for walk in self.walks.values() for each in walk.findings)])

    def _see_end(self, walk: Walk, end: Fields) -> None:
        self.ends[walk.tenant] = end
        first, count, digest = end.get("first"), end.get("count"), end.get("hash")
        if not self.seals.is_right(end.get("mac"), "export", walk.tenant, first, count, digest):
            walk.find(walk.last, Flaw.HEAD_EDITED)
        elif first != walk.first:
            walk.find(1, Flaw.MISSING)
        elif (count, digest) != (walk.last, walk.hash):
            walk.find(walk.last + 1, Flaw.CUT_OFF)


def _is_end(fields: Fields) -> bool:
    return fields.get("kind") == "end"


def _read(line: str) -> Fields | None:
    """The fields of an exported line; None when it is none."""
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    is_flat = isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values())
    return value if is_flat else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are there once each: a name that comes twice is read one way here, another way there."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name comes twice")
    return fields
