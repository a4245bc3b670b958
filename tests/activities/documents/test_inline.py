"""Small plain text is read in the worker; all else goes to the parsers."""

import pytest

from activities.documents.canonical import CanonicalText
from activities.documents.inline import MOST_BYTES, InlineText, is_plain
from engross.errors import EmptyDocument, UnsupportedFormat
from tests.metrics import counted


class Parsers:
    """Says that it was asked."""

    async def extract(self, data: bytes, name: str) -> CanonicalText:
        return CanonicalText(text="parsed", page_starts=(0,))

    async def repair_json(self, text: str) -> str | None:
        return "repaired"


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"a slip\n", "a.txt", True),
        (b"", "a.txt", False),
        (b"x" * MOST_BYTES, "a.txt", True),
        (b"x" * (MOST_BYTES + 1), "a.txt", False),
        (b"%PDF-1.4", "a.txt", False),
        (b"<html><body>x</body></html>", "a.html", False),
        (b"a,b\n1,2\n", "a.csv", True),
        (b"\x89PNG\r\n\x1a\n", "a.png", False),
    ],
)
def test_what_is_plain(data: bytes, name: str, expected: bool) -> None:
    assert is_plain(data, name) is expected


async def test_plain_text_needs_no_parser() -> None:
    with counted() as grown:
        text = await InlineText(Parsers()).extract(b"one\x0ctwo", "a.txt")
        with pytest.raises(EmptyDocument):
            await InlineText().extract(b" \n", "a.txt")
    assert (text.text, text.page_starts) == ("one\n\f\ntwo", (0, 6))
    assert grown == {
        "engross_extractions_total{format=text}": 1,
        "engross_extraction_seconds_count{format=text}": 1,
        "engross_extractions_refused_total{error=EmptyDocument}": 1,
    }


async def test_all_else_goes_to_the_parsers() -> None:
    assert (await InlineText(Parsers()).extract(b"%PDF-1.4", "a.pdf")).text == "parsed"
    assert await InlineText(Parsers()).repair_json("{") == "repaired"
    with counted() as grown, pytest.raises(UnsupportedFormat):
        await InlineText().extract(b"%PDF-1.4", "a.pdf")
    assert grown == {}, "it is read elsewhere"
    assert await InlineText().repair_json("{") is None
