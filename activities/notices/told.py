"""What a notice tells: the little of an approval that may leave the installation, the same for every channel."""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from engross.contracts import ApprovalRequest, ApprovalState, BlobRef, EventKind, Notice, Risk, Verdict

TOLD: Final = frozenset(
    {
        EventKind.OPENED,
        EventKind.REMINDED,
        EventKind.ESCALATED,
        EventKind.DELEGATED,
        EventKind.EXPIRED,
        EventKind.CLOSED,
    }
)
"""What is told. All else is in the audit log only."""

_ASKS: Final = frozenset({EventKind.OPENED, EventKind.REMINDED, EventKind.ESCALATED, EventKind.DELEGATED})
_MOST_CHARACTERS: Final = 200
_MOST_ITEMS: Final = 20


@dataclass(frozen=True)
class Told:
    """A notice. Texts are one line each, without control characters, and still need the escaping of their channel.

    `id` is the same whenever the same notice is sent again. `document_name` is empty, and `answer` None, where the
    policy does not allow values; `answer` is also None where nobody is asked. `decided_by` is who decided: nobody did
    where time was up. Times are UTC.
    """

    id: str
    kind: EventKind
    to: tuple[str, ...]
    approval_id: str
    job: str
    tenant: str
    risk: Risk
    reasons: tuple[str, ...]
    round: int
    verdict: Verdict
    decided_by: tuple[str, ...]
    due_at: datetime | None
    url: str
    document_name: str = ""
    answer: BlobRef | None = None

    @property
    def asks(self) -> bool:
        """Whether somebody is to decide; else it says what became of it."""
        return self.kind in _ASKS


def is_told(notice: Notice) -> bool:
    """Whether anybody hears of it. That time is up, and the end that follows from it, are one notice."""
    follows = notice.kind is EventKind.CLOSED and notice.state.verdict is Verdict.EXPIRED
    return notice.kind in TOLD and not follows


def told_of(notice: Notice, console_address: str) -> Told:
    """What of `notice` may be told. Notes, reasons that people gave and problems of an answer are never in it."""
    request, state = notice.request, notice.state
    tells_values = request.policy.tells_values
    return Told(
        id=_id_of(notice),
        kind=notice.kind,
        to=notice.to,
        approval_id=one_line(notice.approval_id),
        job=one_line(request.job),
        tenant=one_line(request.tenant),
        risk=request.risk,
        reasons=_lines(request.reasons),
        round=request.round,
        verdict=state.verdict,
        decided_by=_lines(state.decided_by) if state.verdict is not Verdict.EXPIRED else (),
        due_at=_utc(state.due_at),
        url=f"{console_address.rstrip('/')}/approvals/{quote(notice.approval_id, safe='', errors='replace')}",
        document_name=one_line(request.document_name) if tells_values else "",
        answer=_answer(request, state) if tells_values and notice.kind in _ASKS else None,
    )


def one_line(text: str, most: int = _MOST_CHARACTERS) -> str:
    """`text` on one line of at most `most` characters, without what could break a line or turn its direction."""
    kept = "".join(_harmless(character) for character in text[: 4 * most])
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _harmless(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cs"}:  # controls, and lone surrogates, which no encoding takes
        return " "
    # Joiners stay, as names in some scripts need them; marks that reorder what people read don't.
    is_bidi = (
        "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069" or character in "\u200e\u200f\u061c"
    )
    return "" if is_bidi else character


def _lines(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one_line(text) for text in texts[:_MOST_ITEMS])


def _utc(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _answer(request: ApprovalRequest, state: ApprovalState) -> BlobRef | None:
    """The answer that is shown now, if it is of this tenant: a request that somebody typed can name any blob."""
    answer = state.answer or request.answer
    return answer if answer is not None and answer.tenant == request.tenant else None


def _id_of(notice: Notice) -> str:
    """The same for the same event only. A digest, as an approval's id can hold any character, and headers can't.

    A round, and an approval that is made again, count their revisions from the start: hence the time and the round.
    """
    state = notice.state
    opened_at = _utc(state.opened_at)
    parts = (
        notice.approval_id,
        opened_at.isoformat() if opened_at else "",
        str(notice.request.round),
        notice.kind,
        str(state.revision),
    )
    return "notice_" + hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
