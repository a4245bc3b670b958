"""What the audit log is made of: entries that are handed in, and the lines that they become."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import PlainSerializer

from activities.approvals.chain import WENT_ON
from activities.storage.rows import stamp, storable
from engross.contracts import Contract
from engross.errors import InvalidRequest

_MOST_CHARACTERS: Final = 4000


class AuditEntry(Contract):
    """Something that happened. `tenant` "*" is for what concerns all of them, such as people signing in.

    `subject` is the approval, user or other thing that `actor` did `action` to; `shown`, `before` and `after` are
    SHA-256; `detail` names fields and errors, never values. The same `event_id` twice is one line; empty is an event
    of its own.
    """

    tenant: str
    at: Annotated[datetime, PlainSerializer(stamp, when_used="json")]
    actor: str
    action: str
    subject: str
    event_id: str = ""
    shown: str = ""
    before: str = ""
    after: str = ""
    source: str = ""
    address: str = ""
    detail: str = ""
    is_signed: bool = False


class AuditLine(AuditEntry):
    """An entry as it stands in the log, at `number` from 1 of its tenant."""

    number: int
    previous: str
    hash: str
    mac: str


def fields_of_entry(entry: AuditEntry) -> dict[str, Any]:
    """What a line says of `entry`, as every database takes it. Raises `InvalidRequest` when it has no tenant."""
    if not entry.tenant:
        raise InvalidRequest("a line of the audit log needs a tenant")
    fields = {name: _bounded(value) if isinstance(value, str) else value for name, value in entry}
    return fields | {"at": stamp(entry.at), "event_id": fields["event_id"] or uuid.uuid4().hex}


def went_on(tenant: str) -> dict[str, Any]:
    """The line that says that the log of `tenant` was found edited, and is continued all the same."""
    at = datetime.now(UTC)
    return fields_of_entry(AuditEntry(tenant=tenant, at=at, actor="engross", action=WENT_ON, subject="audit"))


def _bounded(text: str) -> str:
    """`text` as every database takes it, not without an end: names and addresses come from outside."""
    known = storable(text)
    return known if len(known) <= _MOST_CHARACTERS else f"{known[: _MOST_CHARACTERS - 1]}…"
