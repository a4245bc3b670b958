"""Everything that the approval page shows, put together."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from activities.approvals.audit_entries import AuditLine
from activities.storage import BlobStore
from engross.contracts import ApprovalRequest, ApprovalState, Receipt, Round, Verdict
from engross.errors import DocumentError
from engross.people import Person
from starters.approvals_sending import became
from starters.approvals_view import ApprovalView, needed
from starters.console.forms import Form, build_form, check
from starters.console.pages.answers import Change, Line, changes_between, lines_of, owned, read_answer
from starters.console.pages.approval_typed import Trouble, Typed
from starters.console.pages.inbox_rows import address_of_approval, sentence, why
from starters.console.pages.printable import one_line, pretty, visible
from starters.console.pages.rights import Rights, rights_of

# What is done twice by reading it once: who looks at many rounds opens them one by one.
_MOST_ROUNDS: Final = 50


@dataclass(frozen=True)
class RoundView:
    """A round that is over. `changes` is what the next attempt made different."""

    number: int
    by: str
    at: datetime | None
    said: str
    lines: tuple[Line, ...]
    changes: tuple[Change, ...]
    problem: str = ""


@dataclass(frozen=True)
class Event:
    """A line of the audit log, in words."""

    at: datetime
    who: str
    what: str
    detail: str
    source: str


@dataclass(frozen=True)
class ApprovalPage:
    """`form` is None where the answer is only read; then `lines` has it, or `raw` when no schema says what it is.

    `corrections` is what people changed in what was proposed, `entered` what somebody typed that did not count, against
    what is there now. `receipt` is the sentence about what they have just done.
    """

    view: ApprovalView
    rights: Rights
    address: str
    name: str
    why: str
    needed: int
    key: str
    form: Form | None
    lines: tuple[Line, ...]
    raw: str
    draft: str
    corrections: tuple[Change, ...]
    entered: tuple[Change, ...]
    rounds: tuple[RoundView, ...]
    history: tuple[Event, ...]
    note: str
    receipt: str
    typed: Typed | None
    trouble: Trouble | None
    ended: str
    web_ui: str

    @property
    def request(self) -> ApprovalRequest:
        return self.view.request

    @property
    def state(self) -> ApprovalState:
        return self.view.state

    @property
    def is_moved_on(self) -> bool:
        """Whether what somebody decided on is no longer what is shown."""
        typed = self.typed
        return typed is not None and typed.kind.decides and (typed.shown != self.state.shown or not self.view.is_open)

    @property
    def refused(self) -> str:
        """Why their act did not count, in a sentence."""
        if self.trouble is None:
            return ""
        if self.trouble.status == 503:
            return "No answer came, so it is not known whether it counted. Do it again: it counts once."
        return f"{_upper(visible(str(self.trouble.error)))}."


async def approval_page(
    blobs: BlobStore,
    view: ApprovalView,
    person: Person,
    *,
    told: str = "",
    typed: Typed | None = None,
    trouble: Trouble | None = None,
    web_ui: str = "",
) -> ApprovalPage:
    """The page for `person`. `told` is the key of what they have just done."""
    request, state, tenant = view.request, view.state, view.request.tenant
    rights = rights_of(person, request, state)
    answer, proposed, draft = await asyncio.gather(
        read_answer(blobs, state.answer or request.answer, tenant),
        read_answer(blobs, request.answer, tenant),
        read_answer(blobs, request.draft, tenant),
    )
    shown = draft if answer is None else answer
    form = _form(view, shown, typed) if rights.decides else None
    is_known = view.output is not None
    return ApprovalPage(
        view=view,
        rights=rights,
        address=address_of_approval(view.approval_id),
        name=one_line(request.document_name) or view.approval_id,
        why=why(request),
        needed=needed(request),
        key=_key(typed, trouble),
        form=form,
        lines=lines_of(shown) if form is None and is_known and isinstance(shown, dict | list) else (),
        raw=pretty(shown) if form is None and not (is_known and isinstance(shown, dict | list)) else "",
        draft=pretty(draft) if answer is None and isinstance(draft, str) else "",
        corrections=changes_between(proposed if proposed is not None else draft, answer) if state.is_corrected else (),
        entered=_entered(typed, answer) if form is None else (),
        rounds=await _rounds(blobs, request),
        history=tuple(_event(line) for line in view.history),
        note=visible(view.note),
        receipt=_receipt(state, person, told),
        typed=typed,
        trouble=trouble,
        ended="" if view.is_open else _upper(became(state)),
        web_ui=web_ui,
    )


def _key(typed: Typed | None, trouble: Trouble | None) -> str:
    """A new key; the same again where it is not known whether that act counted."""
    is_unknown = trouble is not None and trouble.status == 503
    return typed.key if typed and typed.key and is_unknown else secrets.token_hex(16)


def _form(view: ApprovalView, shown: Any, typed: Typed | None) -> Form | None:
    """The form with what was typed, or with the answer; None when nothing says what fields there are."""
    output = view.output
    if output is None:
        return None
    before = shown if isinstance(shown, dict) else {}
    if typed is not None and typed.parsed is not None:
        is_same = typed.shown == view.state.shown
        origins = typed.parsed.origins if is_same else None
        return build_form(output, typed.parsed.value, before=before, origins=origins, errors=typed.errors)
    errors: Mapping[str, Sequence[str]] = {}
    if view.state.answer is None and before:
        errors = check(output, before)
    return build_form(output, before, errors=errors)


def _entered(typed: Typed | None, answer: Any) -> tuple[Change, ...]:
    if typed is None or typed.parsed is None:
        return ()
    return changes_between(answer, typed.parsed.value)


async def _rounds(blobs: BlobStore, request: ApprovalRequest) -> tuple[RoundView, ...]:
    past = request.rounds[-_MOST_ROUNDS:]
    answers = [each.answer for each in past] + [request.answer or request.draft]
    read = await asyncio.gather(*(read_answer(blobs, ref, request.tenant) for ref in answers), return_exceptions=True)
    said = await asyncio.gather(*(_said(blobs, each, request.tenant) for each in past))
    both = zip(past, said, read[:-1], read[1:], strict=True)
    return tuple(_round(each, words, before, after) for each, words, before, after in both)


def _round(past: Round, said: str, before: Any, after: Any) -> RoundView:
    for read in (before, after):
        if isinstance(read, BaseException) and not isinstance(read, DocumentError):
            raise read
    if isinstance(before, DocumentError):
        return RoundView(past.number, past.by, past.at, said, (), (), problem=str(before))
    changes = () if isinstance(after, DocumentError) else changes_between(before, after)
    return RoundView(past.number, past.by, past.at, said, lines_of(before), changes)


async def _said(blobs: BlobStore, past: Round, tenant: str) -> str:
    if past.note is None:
        return ""
    try:
        return visible((await blobs.get(owned(past.note, tenant))).decode(errors="replace"))
    except DocumentError as error:
        return f"({error})"


def _event(line: AuditLine) -> Event:
    what = line.action.removeprefix("approval.").replace("_", " ")
    who = "" if line.actor == "engross" else visible(line.actor)
    return Event(at=line.at, who=who, what=_upper(what), detail=one_line(line.detail, 400), source=visible(line.source))


def _receipt(state: ApprovalState, person: Person, key: str) -> str:
    """What they are told of the act with that key: as it is kept, not as an address says it."""
    found: Receipt | None = next((each for each in state.receipts if each.key == key and each.by == person.name), None)
    if found is None:
        return ""
    # Others may have acted since.
    return sentence(found) if found.verdict is not Verdict.OPEN or state.verdict is Verdict.OPEN else ""


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
