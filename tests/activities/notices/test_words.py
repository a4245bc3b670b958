"""Notices in words: every kind has some, and what others wrote stays text."""

from html.parser import HTMLParser

import pytest

from activities.notices.told import TOLD
from activities.notices.words import chat_text, letter
from engross.contracts import EventKind, Verdict
from tests.activities.notices.makers import CANARY, CONSOLE, told

HOSTILE = "<script>alert(1)</script>\"'&amp;<!channel> @all [x](http://evil.example) `a` <http://evil.example|b>"


class Tags(HTMLParser):
    """The tags and links of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", sorted(TOLD))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_kind_has_words(kind: EventKind, verdict: Verdict) -> None:
    said = told(kind, state={"verdict": verdict})
    words = letter(said)
    assert words.subject.startswith("[Engross] ")
    assert words.subject.count("\n") == 0
    for text in (words.plain, words.html, chat_text(said)):
        assert f"{CONSOLE}/approvals/invoice-acme-1-approval" in text
        assert "invoice" in text
        assert "acme" in text
        assert "None" not in text
        assert CANARY not in text


def test_who_is_asked_reads_what_until_when_and_where() -> None:
    words = letter(told())
    assert words.subject == "[Engross] Decision wanted: invoice (high risk)"
    assert "Decide by 2026-01-05 03:04 UTC" in words.plain
    assert "Round:    2" in words.plain
    assert chat_text(told()).splitlines() == [
        "*Decision wanted*: An answer waits for your decision.",
        "Job `invoice`, tenant `acme`, high risk, decide by 2026-01-05 03:04 UTC",
        "Approval `invoice-acme-1-approval`",
        f"<{CONSOLE}/approvals/invoice-acme-1-approval|Look at it and decide>",
    ]


def test_who_is_told_the_end_reads_by_whom() -> None:
    closed = told(EventKind.CLOSED, state={"verdict": Verdict.CORRECTED})
    assert letter(closed).subject == "[Engross] Corrected and approved: invoice"
    assert "By:       ann, bob" in letter(closed).plain
    assert "Decide by" not in letter(closed).plain
    assert "By `ann`, `bob`" in chat_text(closed)


def test_an_approval_without_a_job_has_a_subject_too() -> None:
    assert letter(told(request={"job": ""})).subject == "[Engross] Decision wanted (high risk)"


def test_html_holds_hostile_text_as_text() -> None:
    said = told(tells_values=True, request={"document_name": HOSTILE, "job": HOSTILE})
    page = Tags(letter(said, [(HOSTILE, HOSTILE)]).html)
    assert page.text.count(HOSTILE) == 4  # name, job, field and value
    assert "script" not in page.tags
    assert page.links == [said.url]


def test_chat_holds_hostile_text_as_text() -> None:
    said = told(tells_values=True, request={"document_name": HOSTILE, "job": "<!here>"})
    text = chat_text(said)
    line = next(line for line in text.splitlines() if line.startswith("Document"))
    assert line.count("`") == 2  # one code span, where neither mentions nor links mean anything
    assert line.startswith("Document `&lt;script&gt;")
    assert line.endswith("`")
    assert "&amp;amp;" in line
    assert text.count("<") == 1  # our own link
    assert "`&lt;!here&gt;`" in text


def test_values_are_in_e_mail_only() -> None:
    said = told(tells_values=True)
    words = letter(said, [("total", "12.50")])
    assert "total: 12.50" in words.plain
    assert "12.50" in Tags(words.html).text
    assert "The answer begins with" not in letter(said).plain
