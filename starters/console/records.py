"""Who signed in and out, in the audit log: lines for all tenants, as a session is for all of them."""

from datetime import UTC, datetime
from typing import Final

from fastapi import Request

from activities.approvals.audit import AuditEntry
from engross.people import EVERY_TENANT
from starters.console.browsing import address_of
from starters.console.state import services_of

OPENED: Final = "session.opened"
REFUSED: Final = "session.refused"
CLOSED: Final = "session.closed"
LINKED: Final = "user.linked"


async def record(request: Request, action: str, name: str, detail: str = "") -> None:
    """Adds a line. `name` is a person's who exists, or "": what somebody typed as a name may be a password."""
    entry = AuditEntry(
        tenant=EVERY_TENANT,
        at=datetime.now(UTC),
        actor=name,
        action=action,
        subject=name,
        source="console",
        address=address_of(request),
        detail=detail,
    )
    await services_of(request).audit.append((entry,))
