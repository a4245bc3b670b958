"""Small fakes of what activities need from outside."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from activities.documents.canonical import CanonicalText, canonical
from activities.guards.breaker import Permit, Rest
from activities.guards.budgets import Budget, Refused, Reserved
from activities.guards.completions import Busy, CompletionKey, Found, Granted
from activities.ports import RunReport
from engross.contracts import BlobRef, LedgerEntry, StoreGroupRequest, StoreRequest


class MemoryBlobs:
    """A content-addressed store in a dict."""

    def __init__(self) -> None:
        self.data: dict[tuple[str, str], bytes] = {}

    async def put(self, tenant: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        ref = BlobRef(tenant=tenant, sha256=hashlib.sha256(data).hexdigest(), size=len(data), media_type=media_type)
        self.data[tenant, ref.sha256] = data
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        return self.data[ref.tenant, ref.sha256]

    async def find(self, tenant: str, sha256: str) -> BlobRef | None:
        data = self.data.get((tenant, sha256))
        return None if data is None else BlobRef(tenant=tenant, sha256=sha256, size=len(data))


@dataclass
class PlainParsers:
    """Documents are UTF-8 text; `repaired` is what every JSON repair gives."""

    repaired: str | None = None
    asked: list[str] = field(default_factory=list)

    async def extract(self, data: bytes, name: str) -> CanonicalText:
        return canonical([data.decode()])

    async def repair_json(self, text: str) -> str | None:
        self.asked.append(text)
        return self.repaired


class MemoryCompletions:
    """A completion store in a dict: replies by key, and who holds an intent."""

    def __init__(self) -> None:
        self.replies: dict[str, bytes] = {}
        self.intents: dict[str, tuple[str, int]] = {}

    async def begin(self, key: CompletionKey, holder: str) -> Found | Granted | Busy:
        if key.name in self.replies:
            return Found(self.replies[key.name])
        other, resends = self.intents.get(key.name, ("", -1))
        if other not in {"", holder}:
            return Busy(0.01)
        self.intents[key.name] = (holder, resends + 1)
        return Granted(holder, resends + 1)

    async def renew(self, key: CompletionKey, token: str) -> bool:
        return True

    async def finish(self, key: CompletionKey, token: str, reply: bytes, *, ttl_seconds: int) -> bool:
        self.replies.setdefault(key.name, reply)
        return True

    async def abandon(self, key: CompletionKey, token: str) -> None:
        del self.intents[key.name]


@dataclass
class OpenLimits:
    """Lets everything through after `wait` seconds; keeps what it was told."""

    wait: float = 0.0
    settled: list[int] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def reserve(self, *, provider: str, model: str, tenant: str, tokens: int, reservation: str) -> float:
        return self.wait

    async def settle(self, *, provider: str, model: str, tenant: str, reservation: str, tokens: int) -> None:
        self.settled.append(tokens)

    async def pause(self, *, provider: str, model: str, seconds: float) -> None:
        self.pauses.append(seconds)


@dataclass
class OpenCircuit:
    """Gives a permit, or says how long to wait; keeps the outcomes, those that open it at once with their cause."""

    rest: Rest | None = None
    outcomes: list[str] = field(default_factory=list)

    async def allow(self, provider: str) -> Permit | Rest:
        return self.rest or Permit(probe=False, token="t")

    async def success(self, provider: str, permit: Permit) -> None:
        self.outcomes.append("success")

    async def failure(self, provider: str, permit: Permit, *, at_once: bool = False, cause: str = "") -> bool:
        self.outcomes.append(f"open: {cause}" if at_once else "failure")
        return True


@dataclass
class Purse:
    """A budget account that refuses when told to; `told` says what became of each reservation, None: price unknown."""

    refusal: Refused | None = None
    nearly: tuple[Budget, ...] = ()
    held: dict[str, Decimal] = field(default_factory=dict)
    told: list[Decimal | str | None] = field(default_factory=list)

    async def reserve(
        self, budgets: Sequence[Budget], *, holder: str, attempt: str, amount_usd: Decimal
    ) -> Reserved | Refused:
        if self.refusal is None:
            self.held[holder] = amount_usd
        return self.refusal or Reserved()

    async def settle(self, budgets: Sequence[Budget], *, holder: str, cost_usd: Decimal | None) -> tuple[Budget, ...]:
        if self.held.pop(holder, None) is None:
            return ()
        self.told.append(cost_usd)
        return self.nearly

    async def release(self, budgets: Sequence[Budget], *, holder: str, maybe_billed: bool) -> tuple[Budget, ...]:
        if self.held.pop(holder, None) is not None:
            self.told.append("maybe billed" if maybe_billed else "not billed")
        return ()


class MemoryResults:
    """Rows in lists: of runs, and of groups of a batch with the reports on their runs."""

    def __init__(self) -> None:
        self.rows: list[tuple[StoreRequest, bytes | None]] = []
        self.ledgers: list[Sequence[LedgerEntry]] = []
        self.groups: list[tuple[StoreGroupRequest, Sequence[RunReport]]] = []

    async def put(self, request: StoreRequest, answer: bytes | None, ledger: Sequence[LedgerEntry] = ()) -> None:
        self.rows.append((request, answer))
        self.ledgers.append(ledger)

    async def put_group(self, request: StoreGroupRequest, reports: Sequence[RunReport]) -> None:
        self.groups.append((request, reports))
