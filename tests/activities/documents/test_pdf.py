import hashlib
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest

from activities.documents import pdf
from activities.documents.canonical import canonical
from activities.documents.pdf import read_pdf
from engross.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument, NeedsOcr

INVOICES = Path(__file__).resolve().parents[3] / "jobs" / "invoice" / "samples"
PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")

Piece = tuple[float, float, str]
"""x and y in points from the lower left corner, and text set in 10 point Helvetica."""


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    result, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)


def assemble(objects: list[bytes], trailer: bytes = b"") -> bytes:
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return data + b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, start)


def make_pdf(*pages: Sequence[Piece], page: bytes = b"", password: bytes = b"") -> bytes:
    """A PDF of 600 x 800 points a page; `page` adds to each page's dictionary."""
    trailer, key = encryption(password) if password else (b"", b"")
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, pieces in enumerate(pages):
        content = b"".join(
            b"BT /F 10 Tf 1 0 0 1 %f %f Tm (%b) Tj ET\n" % (x, y, text.encode("cp1252")) for x, y, text in pieces
        )
        if key:
            own = (5 + 2 * number).to_bytes(3, "little") + b"\0\0"
            content = rc4(hashlib.md5(key + own).digest()[:10], content)  # noqa: S324  # what PDF 1.4 prescribes
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R %b"
            b" /Resources << /Font << /F 3 0 R >> >> >>" % (5 + 2 * number, page)
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    return assemble(objects, trailer)


def encryption(password: bytes) -> tuple[bytes, bytes]:
    """Trailer and key of the standard 40-bit encryption (PDF 1.4, 3.5)."""
    padded = (password + PADDING)[:32]
    owner = rc4(hashlib.md5(padded).digest()[:5], padded)  # noqa: S324
    permissions = (-4).to_bytes(4, "little", signed=True)
    key = hashlib.md5(padded + owner + permissions + b"an id").digest()[:5]  # noqa: S324
    user = rc4(key, PADDING)
    trailer = b"/ID [<%b> <%b>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b> >>" % (
        b"an id".hex().encode(),
        b"an id".hex().encode(),
        owner.hex().encode(),
        user.hex().encode(),
    )
    return trailer, key


def test_lines_whatever_the_order_in_the_file() -> None:
    data = make_pdf([(60, 600, "third"), (200, 700, "right"), (60, 680, "second"), (60, 700, "left")])
    assert [line.split() for line in read_pdf(data)[0].split("\n\n")] == [["left", "right"], ["second"], ["third"]]


def test_header_stands_above_its_values() -> None:
    rows = [("Item", "Quantity", "Amount"), ("Olive oil", "2", "9.00"), ("A much longer description", "10", "150.00")]
    pieces = [
        (x, 700 - 14 * row, text)
        for row, cells in enumerate(rows)
        for x, text in zip((60, 300, 400), cells, strict=True)
    ]
    header, *values = read_pdf(make_pdf(pieces))[0].split("\n")
    for row, line in zip(rows[1:], values, strict=True):
        for title, cell in zip(rows[0], row, strict=True):
            start, end = header.index(title), header.index(title) + len(title)
            assert start <= line.index(cell) < end


def test_wide_gaps_cost_few_characters() -> None:
    [text] = read_pdf(make_pdf([(10, 700, "left"), (560, 700, "right")]))
    assert text == "left" + " " * 8 + "right"


def test_words_set_apart_and_letters_set_together() -> None:
    [text] = read_pdf(make_pdf([(60, 700, "Total"), (86, 700, "due"), (60, 688, "4"), (65.56, 688, "2")]))
    assert text == "Total due\n42"


def test_two_columns_of_prose_are_read_one_after_the_other() -> None:
    left = [f"left column, line number {n:02} of it" for n in range(12)]
    right = [f"right column, line number {n:02} of it" for n in range(12)]
    title = (60, 730, "A title that is set across the two columns of the page, from one side to the other")
    note = (60, 500, "A closing note that is set across the two columns of the page, from side to side")
    sides = [
        (x, 700 - 12 * n, text)
        for n, pair in enumerate(zip(left, right, strict=True))
        for x, text in zip((60, 320), pair, strict=True)
    ]
    lines = read_pdf(make_pdf([title, *sides, note]))[0].split("\n")
    assert [line for line in lines if line] == [title[2], *left, *right, note[2]]


def test_table_is_not_taken_for_columns() -> None:
    rows = [(60, 700 - 12 * n, f"Article {n}") for n in range(20)] + [(400, 700 - 12 * n, f"{n}.00") for n in range(20)]
    lines = read_pdf(make_pdf(rows))[0].split("\n")
    assert [line.split() for line in lines] == [["Article", str(n), f"{n}.00"] for n in range(20)]


def test_text_off_the_page_is_left_out() -> None:
    assert read_pdf(make_pdf([(60, 700, "seen"), (60, 900, "hidden"), (700, 700, "hidden")])) == ["seen"]


def test_turned_page_is_read_in_the_order_of_the_file() -> None:
    assert read_pdf(make_pdf([(60, 700, "one two")], page=b"/Rotate 90"))[0].split() == ["one", "two"]


def test_real_invoices_read_in_lines() -> None:
    first, second = read_pdf((INVOICES / "QualityHosting.pdf").read_bytes())
    lines = [" ".join(line.split()) for line in (first + second).split("\n")]
    assert "Rechnungsnr. 30064443 Kundennr. 47774" in lines
    assert "Rechnungsdatum 7. Mai 2014" in lines
    assert "5 1 Small Business QualityExchange 2010 5,39 5,39" in lines
    assert "Total EUR 34,73" in lines
    [azure] = read_pdf((INVOICES / "AzureInterior.pdf").read_bytes())
    lines = [" ".join(line.split()) for line in azure.split("\n")]
    assert "[17589684] Beeswax XL 1.00 kg 42.00 0.00 15.00% $ 42.00" in lines
    assert "03/20/2023 04/04/2023 CUSTREF123" in lines


def test_nothing_is_lost() -> None:
    for path in INVOICES.glob("*.pdf"):
        document = pypdfium2.PdfDocument(path)
        plain = [page.get_textpage().get_text_range() for page in document]
        for ours, theirs in zip(read_pdf(path.read_bytes()), plain, strict=True):
            assert sorted("".join(ours.split())) == sorted("".join(theirs.replace("\x02", "-").split()))


def test_long_document_is_fast() -> None:
    many, one = pypdfium2.PdfDocument.new(), pypdfium2.PdfDocument(INVOICES / "oyo.pdf")
    for _ in range(200):
        many.import_pages(one)
    buffer = BytesIO()
    many.save(buffer)
    before = time.process_time()
    assert len(read_pdf(buffer.getvalue())) == 200
    assert time.process_time() - before < 10


def test_page_without_text_is_flagged() -> None:
    result = canonical(read_pdf(make_pdf([(60, 700, "text")], [])))
    assert result.flags == ("pages-without-text",)
    assert len(result.page_starts) == 2


def test_scan() -> None:
    with pytest.raises(NeedsOcr):
        read_pdf(make_pdf([], []))


def test_password() -> None:
    with pytest.raises(EncryptedDocument):
        read_pdf(make_pdf([(60, 700, "secret")], password=b"letmein"))


def test_encrypted_for_nobody_in_particular() -> None:
    """Many printed forms are encrypted with an empty password: anyone may read them."""
    data = make_pdf([(60, 700, "open to all")], password=PADDING)
    assert read_pdf(data) == ["open to all"]


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n",
        b"%PDF-1.7\n" + bytes(range(256)) * 20,
        (INVOICES / "QualityHosting.pdf").read_bytes()[:20_000],
        make_pdf(),
    ],
    ids=["only a header", "garbage", "truncated", "no pages"],
)
def test_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptDocument):
        read_pdf(data)


def test_too_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    with pytest.raises(DocumentTooLarge, match="more than 2 pages"):
        read_pdf(make_pdf(*[[(60, 700, "text")]] * 3))
