"""What activities need from outside. The composition root hands in the real things, tests hand in small fakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engross.contracts import BlobRef, LedgerEntry, StoreGroupRequest, StoreRequest


class Blobs(Protocol):
    """A content-addressed store; tenants never share an entry."""

    async def find(self, tenant: str, sha256: str) -> BlobRef | None: ...

    async def get(self, ref: BlobRef) -> bytes: ...

    async def put(self, tenant: str, data: bytes, media_type: str = ...) -> BlobRef: ...


class ExtractedText(Protocol):
    """What a parser gives: see `activities.documents.canonical.CanonicalText`."""

    @property
    def text(self) -> str: ...

    @property
    def page_starts(self) -> tuple[int, ...]: ...

    @property
    def flags(self) -> tuple[str, ...]: ...

    def model_dump_json(self) -> str: ...


class Parsers(Protocol):
    """Work on untrusted input, out of process. `repair_json` gives None when nothing sensible comes of it."""

    async def extract(self, data: bytes, name: str) -> ExtractedText: ...

    async def repair_json(self, text: str) -> str | None: ...


@dataclass(frozen=True)
class RunReport:
    """How a run ended, with what its references lead to: the JSON text of its answer, and its whole ledger."""

    request: StoreRequest
    answer: bytes | None = None
    ledger: Sequence[LedgerEntry] = ()


class Results(Protocol):
    """The result store: `answer` is the JSON of the official copy, `ledger` the whole of it."""

    async def put(self, request: StoreRequest, answer: bytes | None, ledger: Sequence[LedgerEntry] = ...) -> None: ...

    async def put_group(self, request: StoreGroupRequest, reports: Sequence[RunReport]) -> None: ...
