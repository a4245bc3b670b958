"""Notices in words. The templates beside this file have the sentences that hold values; here is what they choose from.

E-mail in HTML is escaped by Jinja2 itself. In chat, `&`, `<` and `>` are escaped as Slack asks, and what others wrote
(names of documents, people and jobs) stands in code spans, where neither links nor "@channel" mean anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from activities.notices.told import Told
from engross.contracts import EventKind, Verdict

Field = tuple[str, str]
"""A field of an answer, and its value as text."""

_HEADLINES: Final = {
    EventKind.OPENED: "Decision wanted",
    EventKind.REMINDED: "Still waiting for a decision",
    EventKind.ESCALATED: "Escalated",
    EventKind.DELEGATED: "Delegated to you",
    EventKind.EXPIRED: "Not decided in time",
}
_SENTENCES: Final = {
    EventKind.OPENED: "An answer waits for your decision.",
    EventKind.REMINDED: "An answer still waits for your decision.",
    EventKind.ESCALATED: "Nobody has decided on an answer yet, so more people are asked now.",
    EventKind.DELEGATED: "Somebody asks you to decide on an answer in their place.",
    EventKind.EXPIRED: "Nobody decided on an answer in time, so it was not approved.",
}
_VERDICTS: Final = {
    Verdict.OPEN: ("Closed", "An approval was closed."),
    Verdict.APPROVED: ("Approved", "An answer was approved."),
    Verdict.CORRECTED: ("Corrected and approved", "An answer was corrected, and approved like that."),
    Verdict.REJECTED: ("Rejected", "An answer was rejected."),
    Verdict.AGAIN: ("Another attempt", "Another attempt at an answer was asked for."),
    Verdict.EXPIRED: ("Not decided in time", _SENTENCES[EventKind.EXPIRED]),
    Verdict.WITHDRAWN: ("Withdrawn", "An answer needs no decision any more, as its run was cancelled."),
}


@dataclass(frozen=True)
class Letter:
    """An e-mail's words."""

    subject: str
    plain: str
    html: str


def letter(told: Told, fields: Sequence[Field] = ()) -> Letter:
    """`told` as an e-mail, with these fields of the answer."""
    said = {**_said(told), "fields": fields}
    return Letter(
        subject=_render("subject.txt", said).strip(), plain=_render("mail.txt", said), html=_render("mail.html", said)
    )


def chat_text(told: Told) -> str:
    """`told` in Slack's mrkdwn."""
    return _render("chat.txt", _said(told)).strip()


def chat_escaped(text: str) -> str:
    """`text` so that no part of it is a link, a mention or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def chat_code(text: str) -> str:
    """`text` as a code span, which shows it as it is."""
    return f"`{chat_escaped(text.replace('`', chr(0x2019)))}`"


def _said(told: Told) -> dict[str, Any]:
    if told.kind is EventKind.CLOSED:
        headline, sentence = _VERDICTS[told.verdict]
    else:
        headline, sentence = _HEADLINES[told.kind], _SENTENCES[told.kind]
    due = f"{told.due_at:%Y-%m-%d %H:%M} UTC" if told.due_at and told.asks else ""
    return {"told": told, "headline": headline, "sentence": sentence, "due": due}


def _render(name: str, said: dict[str, Any]) -> str:
    return _TEMPLATES.get_template(name).render(said)


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["chat"] = chat_escaped
_TEMPLATES.filters["code"] = chat_code
