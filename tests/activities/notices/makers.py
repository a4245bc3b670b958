"""Notices that tests send. Every text that must not be told holds `CANARY`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from activities.notices.channel import Record
from activities.notices.told import Told, told_of
from engross.contracts import (
    Approval,
    ApprovalRequest,
    ApprovalState,
    BlobRef,
    ErrorInfo,
    EventKind,
    Notice,
    Problem,
    Risk,
    Round,
    TextRef,
    Verdict,
)

CANARY = "canary7391"
CONSOLE = "https://approvals.example.com"
SECRET = b"a secret of this installation"
ANSWER = BlobRef(tenant="acme", sha256="a" * 64, size=100)
_NOTE = BlobRef(tenant="acme", sha256=CANARY, size=1)


def notice(
    kind: EventKind = EventKind.OPENED,
    *,
    tells_values: bool = False,
    request: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    **changes: Any,
) -> Notice:
    """A notice with a canary wherever text of documents, models and people can be."""
    asked = ApprovalRequest(
        job="invoice",
        tenant="acme",
        run_id="invoice-acme-1",
        submitter=CANARY,
        document=BlobRef(tenant="acme", sha256=CANARY, size=1),
        document_name=f"{CANARY}.pdf",
        text=TextRef(tenant="acme", sha256=CANARY, size=1),
        answer=ANSWER,
        draft=_NOTE,
        problems=(Problem(field=CANARY, code=CANARY),),
        error=ErrorInfo(type="RefusedAnswer", message=CANARY),
        flags=(CANARY,),
        risk=Risk.HIGH,
        reasons=("large amount",),
        policy=Approval(tells_values=tells_values),
        rounds=(Round(number=1, shown="0" * 64, by=CANARY, note=_NOTE),),
    ).model_copy(update=request or {})
    stands = ApprovalState(
        shown=CANARY,
        answer=None,
        note=_NOTE,
        reason=CANARY,
        changed=(CANARY,),
        claimed_by=CANARY,
        opened_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        due_at=datetime(2026, 1, 5, 3, 4, tzinfo=UTC),
        decided_by=("ann", "bob") if kind is EventKind.CLOSED else (),
        verdict=Verdict.APPROVED if kind is EventKind.CLOSED else Verdict.OPEN,
        revision=4,
    ).model_copy(update=state or {})
    whole = Notice(approval_id="invoice-acme-1-approval", kind=kind, to=("approvers",), request=asked, state=stands)
    return whole.model_copy(update=changes)


def told(kind: EventKind = EventKind.OPENED, **options: Any) -> Told:
    return told_of(notice(kind, **options), CONSOLE)


def empty_record() -> Record:
    return Record({}, lambda fates: None)


@dataclass
class Answers:
    """Gives `data`, or raises it, for every blob."""

    data: bytes | Exception = b"{}"
    asked: list[BlobRef] = field(default_factory=list)

    async def get(self, ref: BlobRef) -> bytes:
        self.asked.append(ref)
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


@dataclass
class People:
    """E-mail addresses of everybody who is asked."""

    everybody: Sequence[str] = ("ann@example.com", "bob@example.com")
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def addresses(self, tenant: str, asked: tuple[str, ...]) -> list[str]:
        self.asked.append((tenant, asked))
        return list(self.everybody)
