import asyncio
import io
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest
from PIL import Image

from activities.documents.canonical import CanonicalText, canonical
from activities.documents.drawn import Places
from activities.documents.pool import ParserPool
from engross.contracts import ApprovalRequest, TextRef
from engross.errors import DocumentNotFound, ExtractionTimedOut, InvalidRequest
from starters.console.documents import documents
from starters.console.documents.documents import Documents
from starters.console.documents.view import DocumentView, Links, Shown
from tests.activities.documents.test_pdf import make_pdf
from tests.activities.fakes import MemoryBlobs

ROOT = Path(__file__).resolve().parents[4]
INVOICE = ROOT / "jobs" / "invoice" / "samples" / "QualityHosting.pdf"
TEMPLATES = ROOT / "starters" / "console" / "templates"
LINKS = Links(page="/approvals/run-1", fragment="/approvals/run-1/document")
ANSWER = {"issuer": "QualityHosting AG", "date": "2014-05-07", "amount": 34.73, "lines": [{"price": 5.39}]}


class Parsers:
    """Counts what is drawn; with `fails` nothing can be."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.drawn: list[tuple[int, int]] = []
        self.asked: list[tuple[int, list[str]]] = []

    async def picture(self, data: bytes, page: int, width: int) -> bytes:
        self.drawn.append((page, width))
        return b"picture of page %d" % page

    async def places(self, data: bytes, page: int, texts: Sequence[str]) -> Places:
        if self.fails:
            raise ExtractionTimedOut("not read within 20 seconds; simplify the document")
        self.asked.append((page, list(texts)))
        place = {"left": 0.25, "top": 0.5, "width": 0.125, "height": 0.01}
        return Places.model_validate({"width": 595, "height": 842, "rectangles": [[place]] * len(texts)})


async def asked(blobs: MemoryBlobs, text: CanonicalText, data: bytes = b"", name: str = "a.txt") -> ApprovalRequest:
    document = await blobs.put("acme", data or text.text.encode())
    stored = await blobs.put("acme", text.model_dump_json().encode())
    ref = TextRef(tenant="acme", sha256=stored.sha256, size=stored.size)
    return ApprovalRequest(tenant="acme", document=document, document_name=name, text=ref)


async def viewed(pages: list[str], answer: Any, parsers: Parsers | None = None, **how: Any) -> DocumentView:
    blobs = MemoryBlobs()
    data = make_pdf([]) if parsers else b""
    request = await asked(blobs, canonical(pages), data)
    view = await Documents(blobs=blobs, parsers=parsers or Parsers()).view(request, answer, LINKS, **how)
    assert view is not None
    return view


def rendered(view: DocumentView | None) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("document.html").render(document=view)


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(size=1, seconds=20, memory_mb=512) as started:
        yield started


async def test_real_invoice(pool: ParserPool) -> None:
    blobs, data = MemoryBlobs(), INVOICE.read_bytes()
    request = await asked(blobs, await pool.extract(data, "a.pdf"), data, "a.pdf")
    shown = Documents(blobs=blobs, parsers=pool)
    view = await shown.view(request, ANSWER, LINKS)
    assert view is not None
    assert view.picture is not None
    assert (view.shown, view.number, view.count, view.has_pictures, view.problem) == ("picture", 1, 2, True, "")
    assert {box.field for box in view.picture.boxes} == {"issuer", "date", "lines.0.price"}
    assert [(value.field, value.number) for value in view.elsewhere] == [("amount", 2)]
    image = Image.open(io.BytesIO(await shown.picture(request, 1, 1000)))
    assert image.width / image.height == pytest.approx(view.picture.width / view.picture.height, rel=0.01)
    second = await shown.view(request, ANSWER, LINKS, number=2, shown="text")
    assert second is not None
    assert second.picture is None
    assert '<mark data-field="amount">34,73</mark>' in second.text


async def test_other_formats_are_text() -> None:
    view = await viewed(["Total 12.50"], {"total": 12.5})
    assert (view.shown, view.has_pictures, view.picture) == ("text", False, None)
    assert view.text == 'Total <mark data-field="total">12.50</mark>'
    assert "Picture" not in rendered(view)


async def test_boxes_of_values_that_are_printed_alike() -> None:
    parsers = Parsers()
    view = await viewed(["Total 12.50", "Total 12,50"], {"total": 12.5, "tax": "12.50", "no": 99.5}, parsers, number=2)
    assert parsers.asked == [(2, ["12,50"])]
    assert view.picture is not None
    assert [box.field for box in view.picture.boxes] == ["total", "tax"]
    html = rendered(view)
    assert '<rect data-field="total" x="0.25000" y="0.50000" width="0.12500" height="0.01000"/>' in html
    assert 'src="/approvals/run-1/document/pages/2.png?width=1000"' in html
    assert "style=" not in html


async def test_page_that_cannot_be_drawn_is_text_and_says_why() -> None:
    view = await viewed(["Total 12.50"], {"total": 12.5}, Parsers(fails=True))
    assert (view.shown, view.asked) == ("text", "picture")
    assert '<mark data-field="total">' in view.text
    html = rendered(view)
    assert "not read within 20 seconds" in html
    assert "view=picture" in html


async def test_document_that_is_gone_is_text_and_says_why() -> None:
    class WithoutDocuments(MemoryBlobs):
        async def get(self, ref: Any) -> bytes:
            if ref == request.document:
                raise DocumentNotFound("blob 123 is not in the blob store; submit the document again")
            return await super().get(ref)

    blobs = WithoutDocuments()
    request = await asked(blobs, canonical(["Total 12.50"]), make_pdf([]))
    view = await Documents(blobs=blobs, parsers=Parsers()).view(request, {}, LINKS)
    assert view is not None
    assert (view.text, view.has_pictures) == ("Total 12.50", False)
    assert "submit the document again" in rendered(view)


async def test_nothing_to_show() -> None:
    shown = Documents(blobs=MemoryBlobs(), parsers=Parsers())
    assert await shown.view(ApprovalRequest(), {}, LINKS) is None
    assert "no document" in rendered(None)
    with pytest.raises(DocumentNotFound):
        await shown.picture(ApprovalRequest(), 1, 1000)


@pytest.mark.parametrize(("number", "shown"), [(-5, 1), (0, 1), (2, 2), (3, 3), (10**30, 3)])
async def test_number_outside_the_document_is_the_nearest(number: int, shown: int) -> None:
    view = await viewed(["one", "two", "three"], {}, number=number)
    assert view.number == shown


async def test_links_to_pages_and_values_elsewhere() -> None:
    view = await viewed(["Anna", "Berta", "Clara"], {"names": ["Anna", "Berta", "Clara"]}, number=2)
    assert [(value.label, value.number) for value in view.elsewhere] == [("names 1", 1), ("names 3", 3)]
    html = rendered(view)
    for address in ("/approvals/run-1?page=1", 'hx-get="/approvals/run-1/document?page=3'):
        assert address in html
    assert 'data-elsewhere="names.2"' in html


@pytest.mark.parametrize("shown", ["picture", "text"])
async def test_hostile_names_stay_text(shown: Shown) -> None:
    evil = '"><script>alert(1)</script>'
    blobs = MemoryBlobs()
    request = await asked(blobs, canonical([evil, f"{evil} 12.50"]), make_pdf([]), evil)
    view = await Documents(blobs=blobs, parsers=Parsers()).view(request, {evil: 12.5, "a": evil}, LINKS, shown=shown)
    html = rendered(view)
    assert "<script" not in html
    assert "alert(1)" in html, "shown as it is"


async def test_long_documents_come_in_small_pieces() -> None:
    words = "\"&'<>" * 4 + " 12.50 "
    text = words * 6_000
    total = 0
    for number in (1, 2, 5):
        view = await viewed([text], {"lines": [{"total": 12.5}] * 300}, number=number)
        html = rendered(view)
        total += len(html)
        assert len(html.encode()) < 200_000, "bytes"
    assert view.title == "Page 1, part 5 of 7"
    assert total > 3 * 24_000


async def test_so_many_boxes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BOXES", 1_000)
    view = await viewed(["word"], {f"field{n}": "word" for n in range(50)}, Parsers())
    assert view.picture is not None
    assert 0 < len(view.picture.boxes) < 8


async def test_very_long_text_is_searched_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST_SEARCHED", 20)
    view = await viewed(["first page 12.50", "second page 12.50"], {"total": 12.5, "page": "first page"}, number=2)
    assert view.text == 'second page <mark data-field="total">12.50</mark>'
    assert view.elsewhere == ()


async def test_pictures_are_kept_by_the_next_width() -> None:
    blobs, parsers = MemoryBlobs(), Parsers()
    request = await asked(blobs, canonical(["text"]), make_pdf([]))
    shown = Documents(blobs=blobs, parsers=parsers)
    for width in (501, 1000, 999, 1001, 2000):
        assert await shown.picture(request, 1, width) == b"picture of page 1"
    assert parsers.drawn == [(1, 1000), (1, 1500), (1, 2000)]


@pytest.mark.parametrize("width", [-1, 0, 2001, 10**9])
async def test_impossible_width(width: int) -> None:
    with pytest.raises(InvalidRequest):
        await Documents(blobs=MemoryBlobs(), parsers=Parsers()).picture(ApprovalRequest(), 1, width)


async def test_only_pdfs_have_pictures() -> None:
    blobs = MemoryBlobs()
    request = await asked(blobs, canonical(["<svg onload=alert(1)>"]))
    with pytest.raises(DocumentNotFound, match="only pages of PDFs"):
        await Documents(blobs=blobs, parsers=Parsers()).picture(request, 1, 500)


async def test_loop_stays_free_while_a_long_text_is_searched() -> None:
    text = "word " * 60_000
    task = asyncio.create_task(viewed([text], ["word"]))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 20
    assert (await task).count > 5


def test_styles_know_every_class_of_the_template() -> None:
    html = (TEMPLATES / "document.html").read_text()
    css = (TEMPLATES.parent / "static" / "document.css").read_text()
    used = set(re.findall(r"document-[a-z-]+|document(?=\")", " ".join(re.findall(r'class="([^"]*)"', html))))
    assert {name for name in used if not re.search(rf"\.{name}\b", css)} == set()
