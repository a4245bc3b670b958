"""The chain of the audit log: how its lines hang together, and what is found where they do not.

A line's `hash` is the SHA-256 over the hash of the line before it and its own canonical JSON; its `mac` is the
HMAC-SHA256 (RFC 2104) of that hash, with a key derived from the installation's secret. A head, and the end of an
export, have macs of their own kind, so that no line can be passed off as a head.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

_PURPOSE: Final = b"engross audit 1"
_SEALS: Final = ("hash", "mac")

FIRST: Final = "0" * 64
"""What the first line of a tenant has in the place of the hash before it."""

WENT_ON: Final = "audit.broken"
"""The action of a line that says that the log was found edited when it was to be continued."""

MOST_FINDINGS: Final = 100
"""Findings of one tenant after which the search stops."""

Fields = Mapping[str, Any]
"""A line exactly as it is stored or exported: a damaged one may hold anything."""


class Flaw(StrEnum):
    """What can be wrong with a log. The value is what people read."""

    EDITED = "its content is not what was written"
    MISSING = "missing"
    MISPLACED = "does not follow the line before it"
    FOREIGN = "was not written with this installation's secret"
    CUT_OFF = "lines are missing at the end"
    HEAD_EDITED = "the record of the last line is not what was written"
    HEAD_MISSING = "the record of the last line is gone"
    TENANTS_EDITED = "the tenants that have a log are not those that should: the whole log of one may be gone"
    WENT_ON = "what was written before it had been edited by then; the log went on all the same"
    DIFFERS = "is not the line that was exported"
    UNREADABLE = "is no line of an audit log"
    TOO_MANY = "more is wrong from here on"


@dataclass(frozen=True)
class Finding:
    """What is wrong at line `number` of `tenant`; of an unreadable file line, its number in the file and no tenant."""

    tenant: str
    number: int
    problem: Flaw


@dataclass(frozen=True)
class Head:
    """How far a tenant's log goes: how many lines it has, the hash of the last, and the mac of both."""

    tenant: str
    count: int
    hash: str
    mac: str = ""


class Seals:
    """Makes and checks hashes and macs. `secret` None: hashes only, and every mac counts as right."""

    def __init__(self, secret: bytes | None) -> None:
        self._key = None if secret is None else hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def seal(self, line: Fields) -> dict[str, Any]:
        """`line`, which names the hash before it in `previous`, with its own hash and mac. Needs the secret."""
        digest = hash_of(line)
        return {**line, "hash": digest, "mac": self.mac("line", digest)}

    def mac(self, kind: str, *parts: object) -> str:
        """The mac of a line, head or end of an export. Needs the secret."""
        if self._key is None:
            raise ValueError("a mac can't be made without the secret")
        said = json.dumps([kind, *parts], separators=(",", ":"), default=repr)
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    def is_right(self, mac: object, kind: str, *parts: object) -> bool:
        """Whether `mac` is the one of `parts`."""
        if self._key is None:
            return True
        given = mac.encode(errors="backslashreplace") if isinstance(mac, str) else b""
        return hmac.compare_digest(given, self.mac(kind, *parts).encode())


def hash_of(line: Fields) -> str:
    """The hash of a line over all that it says, the hash before it included."""
    content = {name: value for name, value in line.items() if name not in _SEALS}
    # A damaged line may hold what is no JSON: it only has to give another hash.
    said = json.dumps(content, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(f"{line.get('previous')}\n{said}".encode(errors="backslashreplace")).hexdigest()


def tenants_hash(tenants: list[str]) -> str:
    """The hash of the names of all tenants that have a log."""
    return hashlib.sha256(json.dumps(sorted(tenants)).encode()).hexdigest()


@dataclass
class Walk:
    """Goes along the lines of one tenant, first to last, and keeps what it finds; holds no line but the last.

    `first` is the number that the first line must have; None takes any, and whatever it names as the hash before it.
    """

    tenant: str
    seals: Seals
    first: int | None = 1
    last: int = 0
    hash: str = FIRST
    findings: list[Finding] = field(default_factory=list)
    _is_begun: bool = False

    @property
    def is_given_up(self) -> bool:
        """Whether so much is wrong that looking further tells nothing."""
        return len(self.findings) >= MOST_FINDINGS

    def see(self, line: Fields) -> None:
        """Checks the next line. One that is wrong is one finding, and the next is held against it as it stands."""
        number = line.get("number")
        if not isinstance(number, int) or isinstance(number, bool):
            self.find(self.last + 1, Flaw.EDITED)
            return
        if not self._is_begun and self.first is None:
            self.first, self.last, self.hash = number, number - 1, str(line.get("previous"))
        self._is_begun = True
        self._check(line, number)
        self.last, self.hash = number, str(line.get("hash"))

    def find(self, number: int, problem: Flaw) -> None:
        """Keeps a finding, unless there are too many."""
        if len(self.findings) == MOST_FINDINGS - 1:
            problem = Flaw.TOO_MANY
        if not self.is_given_up:
            self.findings.append(Finding(self.tenant, number, problem))

    def _check(self, line: Fields, number: int) -> None:
        if number > self.last + 1:
            self.find(self.last + 1, Flaw.MISSING)
        if hash_of(line) != line.get("hash"):
            self.find(number, Flaw.EDITED)
        elif not self.seals.is_right(line.get("mac"), "line", line.get("hash")):
            self.find(number, Flaw.FOREIGN)
        elif number <= self.last or (number == self.last + 1 and line.get("previous") != self.hash):
            self.find(number, Flaw.MISPLACED)
        elif line.get("action") == WENT_ON:
            self.find(number, Flaw.WENT_ON)
