"""The activity `note_approval`: the row of the inbox, the lines of the audit log and the case, all or nothing."""

from typing import Final

from temporalio import activity

from activities.approvals.audit import AuditEntry, AuditLog
from activities.approvals.cases import Cases
from activities.approvals.rows import ApprovalRows
from activities.metrics import APPROVAL_DECISIONS, job_label, tenant_label
from activities.storage.database import Database
from engross.contracts import ApprovalEvent, ApprovalNote, EventKind, Noted, Verdict

_NOBODY: Final = "engross"


class Noting:
    """Writes down where approvals stand. Idempotent: a repeat changes nothing, an older note hides no newer one.

    `rows`, `audit` and `cases` are of `database`, so that one transaction holds for all; `has_channels` is passed on.
    """

    def __init__(
        self, *, database: Database, rows: ApprovalRows, audit: AuditLog, cases: Cases, has_channels: bool = False
    ) -> None:
        self._database = database
        self._rows = rows
        self._audit = audit
        self._cases = cases
        self._has_channels = has_channels

    @activity.defn
    async def note_approval(self, note: ApprovalNote) -> Noted:
        """Writes `note`. Raises `InvalidRequest` when it names no tenant or no opening time."""
        async with self._database.writing() as connection:
            await self._audit.write(connection, [_entry(note, event) for event in note.events])
            is_news = await self._rows.write(connection, note)
            if note.state.verdict is Verdict.CORRECTED:
                await self._cases.write(connection, note)
        if is_news and _tells_the_end(note):
            job, tenant = job_label(note.request.job), tenant_label(note.request.tenant)
            APPROVAL_DECISIONS.labels(job, tenant, note.state.verdict.value).inc()
        return Noted(has_channels=self._has_channels)


def _tells_the_end(note: ApprovalNote) -> bool:
    """Whether what closed the approval is in this note: later ones, about acts that came too late, say so too."""
    state = note.state
    acts = [event for event in note.events if event.kind is not EventKind.REFUSED]
    return state.verdict is not Verdict.OPEN and any(event.at == state.decided_at for event in acts)


def _entry(note: ApprovalNote, event: ApprovalEvent) -> AuditEntry:
    return AuditEntry(
        tenant=note.request.tenant,
        at=event.at,
        actor=event.by or _NOBODY,
        action=f"approval.{event.kind.value}",
        subject=note.approval_id,
        event_id=f"{note.attempt}/{event.number}",
        shown=event.shown,
        before=event.before,
        after=event.after,
        source=event.source,
        address=event.address,
        detail=event.detail,
        is_signed=event.is_signed,
    )
