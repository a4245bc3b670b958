"""What people do on pages besides deciding: done once, noted in the audit log, and told by the page that follows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from activities.approvals.audit import AuditEntry
from starters.console.browsing import redirect
from starters.console.identity import Identity, read_form
from starters.console.rendering import render
from starters.console.state import console_of, services_of

# What a page that follows says; its address names one of these, so that nobody else's words can be put there.
SAID: Final[Mapping[str, tuple[str, str]]] = {
    "cancelling": ("good", "Asked to stop. It ends in a moment."),
    "over": ("warn", "It had ended already; nothing was changed."),
    "resumed": ("good", "Told to try again now."),
    "paused": ("good", "Paused: no more documents are started; those in flight end."),
    "unpaused": ("good", "Goes on."),
    "window": ("good", "The number of documents in flight is changed."),
    "changed": ("good", "Changed. The audit log names you."),
    "same": ("warn", "That was so already; nothing was changed."),
    "revoked": ("good", "The key is revoked: it works no more."),
}
_DIGITS: Final = 16


@dataclass(frozen=True)
class Part:
    """A part of a page that is asked for again and again. `seen` changes when it looks different."""

    content: Markup
    seen: str


async def note(
    request: Request, identity: Identity, action: str, subject: str, *, tenant: str, detail: str = ""
) -> None:
    """Adds a line to the audit log: this person did `action` to `subject`."""
    entry = AuditEntry(
        tenant=tenant,
        at=datetime.now(UTC),
        actor=identity.person.name,
        action=action,
        subject=subject,
        source=identity.source,
        address=identity.address,
        detail=detail,
    )
    await services_of(request).audit.append((entry,))


async def field_of(request: Request, name: str) -> str:
    """A field of the form that was sent, without the spaces around it; "" when it is none."""
    value = (await read_form(request)).get(name)
    return value.strip() if isinstance(value, str) else ""


def back(target: str, said: str, anchor: str = "") -> Response:
    """The browser goes to `target`, a path without a query, and that says it."""
    return redirect(f"{target}?said={said}{anchor}")


def flashes(request: Request) -> list[tuple[str, str]]:
    """What the page has to say, for `base.html`."""
    said = SAID.get(request.query_params.get("said", ""))
    return [said] if said else []


def part_of(request: Request, template: str, **values: Any) -> Part:
    """The part of a page that `template` makes."""
    text = console_of(request).pages.text(template, values)
    # Markup of ours: the template has escaped what is not.
    return Part(Markup(text), hashlib.sha256(text.encode()).hexdigest()[:_DIGITS])  # noqa: S704 - see above


def renewed(request: Request, part: Part, template: str, **values: Any) -> Response:
    """The answer to a page that asks for a part anew: nothing when it looks as it did, so that focus stays."""
    if request.query_params.get("seen") == part.seen:
        return Response(status_code=204)
    return render(request, template, part=part, **values)


def reload() -> Response:
    """The whole page is asked for again."""
    return HTMLResponse("", headers={"HX-Refresh": "true"})
