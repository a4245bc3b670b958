import asyncio
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from activities.documents.drawn import MAX_WIDTH, Rectangle
from activities.documents.evidence import find_values
from activities.documents.pictures import MAX_PIXELS, draw
from activities.documents.places import MOST_PLACES, places
from activities.documents.pool import ParserPool
from engross.errors import (
    CorruptDocument,
    DocumentNotFound,
    DocumentTooLarge,
    EncryptedDocument,
    ExtractionCrashed,
)
from tests.activities.documents.test_pdf import assemble, make_pdf

INVOICES = Path(__file__).resolve().parents[3] / "jobs" / "invoice" / "samples"
LYING = (sys.executable, str(Path(__file__).with_name("lying_child.py")))


@pytest.fixture
async def parsers() -> AsyncIterator[ParserPool]:
    async with ParserPool(size=1, seconds=20, memory_mb=512) as started:
        yield started


def picture(data: bytes, page: int = 1, width: int = 600) -> Image.Image:
    image = Image.open(io.BytesIO(draw(data, page, width)))
    image.load()
    return image


def ink(image: Image.Image) -> Rectangle:
    """Around all that is dark, as places are told."""
    box = image.convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
    assert box is not None, "an empty picture"
    left, top, right, bottom = box
    width, height = image.size
    return Rectangle(left=left / width, top=top / height, width=(right - left) / width, height=(bottom - top) / height)


def holds(outer: Rectangle, inner: Rectangle, by: float = 0.004) -> bool:
    return (
        outer.left <= inner.left + by
        and outer.top <= inner.top + by
        and outer.left + outer.width >= inner.left + inner.width - by
        and outer.top + outer.height >= inner.top + inner.height - by
    )


def test_picture_is_what_pdfium_draws() -> None:
    image = picture(make_pdf([(60, 700, "12.50")]), width=900)
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (900, 1200))
    assert image.getpixel((5, 5)) == (255, 255, 255)
    box = ink(image)
    assert (box.left, box.top + box.height) == pytest.approx((0.1, 1 - 700 / 800), abs=0.01)


def test_colours_keep_their_order() -> None:
    content = b"1 0 0 rg 0 0 600 800 re f"
    [catalogue, pages, page] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R >>",
    ]
    data = assemble([catalogue, pages, page, b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)])
    assert picture(data, width=33).getpixel((16, 20)) == (255, 0, 0)


@pytest.mark.parametrize("width", [1, 37, 500, MAX_WIDTH])
def test_widths(width: int) -> None:
    assert picture((INVOICES / "oyo.pdf").read_bytes(), width=width).width == width


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("box", [b"", b"/CropBox [40 400 500 760]", b"/CropBox [-50 -50 500 760]"])
def test_place_is_where_the_word_is_seen(turned: int, box: bytes) -> None:
    data = make_pdf([(200.5, 601.25, "Rechnung")], page=b"/Rotate %d %b" % (turned, box))
    found = places(data, 1, ["rechnung"])
    image = picture(data)
    assert found.width / found.height == pytest.approx(image.width / image.height, rel=0.01)
    [[rectangle]] = found.rectangles
    assert holds(rectangle, ink(image))
    assert rectangle.width * rectangle.height < 0.01, "around the word, not around the page"


def test_only_the_words_asked_for() -> None:
    data = make_pdf([(60, 700, "Total 12.50 312.50 12.50"), (60, 650, "12.501")])
    found = places(data, 1, ["12.50", "nowhere", "total  12.50", "12"])
    assert [len(rectangles) for rectangles in found.rectangles] == [2, 0, 1, 0]
    first, second = found.rectangles[0]
    assert first.top == second.top
    assert first.left + first.width < second.left


def test_words_that_the_file_has_in_another_order() -> None:
    data = make_pdf([(112, 700, "due"), (60, 650, "other"), (60, 700, "Total"), (86, 700, "now")])
    [[rectangle]] = places(data, 1, ["Total now due"]).rectangles
    assert rectangle.left == pytest.approx(0.1, abs=0.01)


def test_text_over_two_lines_has_two_rectangles() -> None:
    data = make_pdf([(60, 700, "Small Business"), (60, 688, "Exchange")])
    [[first, second]] = places(data, 1, ["small business exchange"]).rectangles
    assert first.top < second.top
    assert first.width > second.width


def test_text_off_the_page_has_no_place() -> None:
    assert places(make_pdf([(60, 900, "hidden"), (60, 700, "seen")]), 1, ["hidden"]).rectangles == ((),)


def test_so_many_places_at_most() -> None:
    data = make_pdf([(60, 780 - 12 * n, "again") for n in range(MOST_PLACES + 5)])
    [rectangles] = places(data, 1, ["again"]).rectangles
    assert len(rectangles) == MOST_PLACES


@pytest.mark.parametrize("name", ["AzureInterior.pdf", "QualityHosting.pdf", "free_fiber.pdf", "oyo.pdf"])
async def test_all_that_the_text_has_is_on_the_page(parsers: ParserPool, name: str) -> None:
    data = (INVOICES / name).read_bytes()
    text = await parsers.extract(data, name)
    for number, page in enumerate(text.text.split("\f"), 1):
        cells = sorted({cell.strip() for line in page.split("\n") for cell in line.split("  ")})
        found = find_values(cells, page)
        printed = sorted({page[start:end] for value in found for start, end in value.spans})
        assert printed
        rectangles = (await parsers.places(data, number, printed)).rectangles
        assert [text for text, there in zip(printed, rectangles, strict=True) if not there] == []


async def test_pictures_come_from_the_parsers(parsers: ParserPool) -> None:
    data = (INVOICES / "QualityHosting.pdf").read_bytes()
    first, second = await asyncio.gather(*(parsers.picture(data, page, 10**6) for page in (1, 2)))
    assert first == draw(data, 1, MAX_WIDTH)
    assert first != second


@pytest.mark.parametrize("page", [-1, 0, 3, 10**12])
async def test_no_such_page(parsers: ParserPool, page: int) -> None:
    data = (INVOICES / "QualityHosting.pdf").read_bytes()
    with pytest.raises(DocumentNotFound, match="last one is 2"):
        await parsers.picture(data, page, 500)
    with pytest.raises(DocumentNotFound):
        await parsers.places(data, page, ["Total"])


async def test_what_is_no_pdf(parsers: ParserPool) -> None:
    for data, error in ((b"plain text", CorruptDocument), (make_pdf([], password=b"secret"), EncryptedDocument)):
        with pytest.raises(error):
            await parsers.picture(data, 1, 500)
        with pytest.raises(error):
            await parsers.places(data, 1, ["text"])


def sized(width: float, height: float) -> bytes:
    return make_pdf([]).replace(b"[0 0 600 800]", b"[0 0 %f %f]" % (width, height))


def test_long_receipt_is_drawn_as_wide_as_fits() -> None:
    image = picture(sized(200, 8000), width=2000)
    assert MAX_PIXELS * 0.98 < image.width * image.height <= MAX_PIXELS


@pytest.mark.parametrize("size", [(3, 14_000), (1, 1_000_000)])
def test_absurd_shape(size: tuple[float, float]) -> None:
    with pytest.raises(DocumentTooLarge, match="long and narrow"):
        draw(sized(*size), 1, 2000)


async def test_absurd_size_leaves_the_parsers_alive(parsers: ParserPool) -> None:
    [pid] = parsers.pids
    image = Image.open(io.BytesIO(await parsers.picture(sized(1e38, 1e38), 1, 2000)))
    assert image.size == (2000, 2000)
    with pytest.raises(CorruptDocument, match="without a size"):
        await parsers.picture(sized(0.5, 800), 1, 2000)
    assert parsers.pids == (pid,)


@pytest.mark.parametrize("order", ["", "text", "outside", "endless", "count"])
async def test_reply_of_a_parser_that_was_taken_over(order: str) -> None:
    async with ParserPool(size=1, seconds=20, memory_mb=256, command=LYING) as lying:
        with pytest.raises(ExtractionCrashed, match="no sense"):
            await lying.picture(order.encode(), 1, 500)
        with pytest.raises(ExtractionCrashed, match="no sense"):
            await lying.places(order.encode(), 1, ["Total"])
