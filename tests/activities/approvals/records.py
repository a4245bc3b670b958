"""Notes and entries for tests, small but complete."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from activities.approvals.audit import AuditEntry
from activities.storage.database import Database
from engross.contracts import ApprovalEvent, ApprovalNote, ApprovalRequest, ApprovalState, BlobRef, EventKind

SECRET = b"a secret for tests only"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def database_at(folder: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite+aiosqlite:///{folder / 'results.db'}")
    try:
        yield database
    finally:
        await database.close()


def blob(name: str = "a") -> BlobRef:
    return BlobRef(tenant="acme", sha256=name * 64, size=1)


def note(
    approval_id: str = "run-1-approval",
    *,
    attempt: str = "attempt-1",
    request: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    events: Sequence[ApprovalEvent] = (),
) -> ApprovalNote:
    asked = {"job": "invoice", "tenant": "acme", "run_id": approval_id.removesuffix("-approval"), "answer": blob()}
    stands = {"opened_at": NOW, "due_at": NOW + timedelta(hours=72), "revision": 1}
    return ApprovalNote(
        approval_id=approval_id,
        attempt=attempt,
        request=ApprovalRequest.model_validate({**asked, **(request or {})}),
        state=ApprovalState.model_validate({**stands, **(state or {})}),
        events=tuple(events),
    )


def event(number: int, kind: EventKind = EventKind.OPENED, **fields: Any) -> ApprovalEvent:
    return ApprovalEvent.model_validate({"number": number, "kind": kind, "at": NOW, **fields})


def entry(number: int, tenant: str = "acme", **fields: Any) -> AuditEntry:
    values = {
        "tenant": tenant,
        "at": NOW + timedelta(seconds=number),
        "actor": "anna",
        "action": "approval.approved",
        "subject": "run-1-approval",
        "event_id": f"attempt-1/{number}",
    }
    return AuditEntry.model_validate(values | fields)


def scattered(count: int, seed: int = 7) -> list[ApprovalNote]:
    print("seed", seed)  # noqa: T201  # to run it again
    chance = random.Random(seed)  # noqa: S311  # test data

    def one(number: int) -> ApprovalNote:
        opened = NOW + timedelta(seconds=chance.randrange(5))
        due = chance.choice([None, *(NOW + timedelta(hours=hours) for hours in range(4))])
        request = {
            "priority": chance.randrange(0, 8),
            "tenant": f"tenant-{number % 7}",
            "document_name": f"Invoice {number}.pdf",
            "reasons": [f"rule {place} of the policy says so" for place in range(20)],
        }
        return note(f"{number:05}-approval", request=request, state={"opened_at": opened, "due_at": due})

    return [one(number) for number in range(count)]
