"""What of an approval is told, and the id by which a receiver knows a notice again."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from activities.notices.told import one_line
from engross.contracts import BlobRef, EventKind, Verdict
from tests.activities.notices.makers import ANSWER, CANARY, told


@pytest.mark.parametrize("kind", list(EventKind))
def test_without_leave_nothing_of_the_document_or_of_people_is_told(kind: EventKind) -> None:
    assert CANARY not in repr(dataclasses.astuple(told(kind)))
    assert told(kind).answer is None


def test_with_leave_its_name_and_the_answer_that_is_shown_are() -> None:
    corrected = BlobRef(tenant="acme", sha256="b" * 64, size=1)
    allowed = told(tells_values=True)
    assert (allowed.document_name, allowed.answer) == (f"{CANARY}.pdf", ANSWER)
    assert told(tells_values=True, state={"answer": corrected}).answer == corrected


@pytest.mark.parametrize("kind", [EventKind.EXPIRED, EventKind.CLOSED])
def test_who_has_nothing_to_decide_is_told_no_values(kind: EventKind) -> None:
    assert told(kind, tells_values=True).answer is None


def test_the_answer_of_another_tenant_is_not_told() -> None:
    other = BlobRef(tenant="other", sha256="c" * 64, size=1)
    assert told(tells_values=True, request={"answer": other}).answer is None


def test_the_id_is_that_of_the_event() -> None:
    first = told().id
    assert re.fullmatch("notice_[0-9a-f]{32}", first)  # no dot: it parts what a webhook's signature covers
    assert told().id == first
    others = {
        told(EventKind.REMINDED).id,
        told(state={"revision": 5}).id,
        told(request={"rounds": ()}).id,
        told(state={"opened_at": datetime(2027, 1, 1, tzinfo=UTC)}).id,
        told(approval_id="other-approval").id,
    }
    assert len(others | {first}) == 6


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: b@example.com\x00\x1b[31m", "a Bcc: b@example.com [31m"),
        ("a\u2028b\u0085c\td", "a b c d"),
        ("invoice\u202efdp.exe\u2066\u200f", "invoicefdp.exe"),
        ("\ud800", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x" * 201, "x" * 199 + "…"),
        ("\n" * 10_000_000 + "x", ""),
    ],
)
def test_every_text_becomes_one_harmless_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_all_texts_are_lines() -> None:
    hostile = "a\nb"
    made = told(
        tells_values=True,
        approval_id=hostile,
        request={"job": hostile, "tenant": hostile, "reasons": (hostile,) * 50, "document_name": hostile},
        state={"decided_by": (hostile,)},
    )
    assert "\n" not in repr(made).replace("\\\\", "")
    assert (made.job, made.tenant, made.document_name, made.decided_by) == ("a b", "a b", "a b", ("a b",))
    assert made.reasons == ("a b",) * 20
    assert made.url == "https://approvals.example.com/approvals/a%0Ab"


def test_an_id_stays_one_part_of_the_address() -> None:
    assert told(approval_id="../x?y#z").url == "https://approvals.example.com/approvals/..%2Fx%3Fy%23z"


def test_times_are_utc() -> None:
    india = datetime(2026, 1, 5, 8, 34, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert told(state={"due_at": india}).due_at == datetime(2026, 1, 5, 3, 4, tzinfo=UTC)
    assert str(told(state={"due_at": india}).due_at).endswith("+00:00")
    assert told(state={"due_at": None}).due_at is None


def test_the_verdict_is_told() -> None:
    assert told(EventKind.CLOSED, state={"verdict": Verdict.REJECTED}).verdict is Verdict.REJECTED


def test_nobody_has_decided_where_time_was_up() -> None:
    expired = {"verdict": Verdict.EXPIRED, "decided_by": ("approvers",)}
    assert told(EventKind.EXPIRED, state=expired).decided_by == ()
    assert told(EventKind.CLOSED).decided_by == ("ann", "bob")
