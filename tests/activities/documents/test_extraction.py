import struct
import zipfile
from html import escape
from io import BytesIO
from pathlib import Path

import pytest

from activities.documents import archives
from activities.documents.extraction import extract
from engross.errors import (
    CorruptDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    EngrossError,
    NeedsOcr,
    UnsupportedFormat,
)

SAMPLES = Path(__file__).with_name("samples")
INVOICE = Path(__file__).resolve().parents[3] / "jobs" / "invoice" / "samples" / "oyo.pdf"

TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}"/>'
    "</Relationships>"
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def text_of(data: bytes, suffix: str) -> str:
    return extract(data, suffix, max_expanded_mb=50).text


def archive(**members: str | bytes) -> bytes:
    """A ZIP archive; `__` in a name stands for `/`, `_DOT_` for a dot."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return buffer.getvalue()


def docx(body: str, doctype: str = "") -> bytes:
    return archive(
        **{"[Content_Types].xml": TYPES, "_rels__.rels": RELATIONS.format("word/document.xml", "officeDocument")},
        word__document_DOT_xml=f'<?xml version="1.0"?>{doctype}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body>'
        "</w:document>",
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def xlsx(**sheets: str) -> bytes:
    """Workbook with one number or text a sheet."""
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = "".join(
        f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml" Type="{kind}/worksheet"/>'
        for n in range(1, len(sheets) + 1)
    )
    parts = {
        f"xl__worksheets__sheet{n}.xml": f'<worksheet xmlns="{SHEET}"><sheetData><row r="1"><c r="A1" t="inlineStr">'
        f"<is><t>{text}</t></is></c></row></sheetData></worksheet>"
        for n, text in enumerate(sheets.values(), 1)
    }
    return archive(
        **{"[Content_Types].xml": TYPES, "_rels__.rels": RELATIONS.format("xl/workbook.xml", "officeDocument")},
        xl__workbook_DOT_xml=f'<workbook xmlns="{SHEET}" xmlns:r="{kind}"><sheets>{names}</sheets></workbook>',
        xl___rels__workbook_DOT_xml_DOT_rels='<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'relationships">{relations}</Relationships>',
        **parts,
    )


def test_word_document() -> None:
    text = text_of((SAMPLES / "docx_rich_cells.docx").read_bytes(), ".docx")
    assert "| Column A | Column B |" in text
    assert "Rich cell" in text


def test_workbook() -> None:
    text = text_of((SAMPLES / "xlsx_02_sample_sales_data.xlsm").read_bytes(), ".xlsm")
    assert text.startswith("## SalesData\n\n| Product | Date | Quantity | Revenue |")
    assert text.endswith("| Widget D | 2024-01-20 | 8 | 8900 |")


def test_slides_are_pages() -> None:
    result = extract((SAMPLES / "powerpoint_comments.pptx").read_bytes(), ".pptx", max_expanded_mb=50)
    assert len(result.page_starts) == 3
    assert result.page_at(result.text.index("Install Docling")) == 2


def test_sheets_are_pages() -> None:
    result = extract(xlsx(First="alpha", Second="beta"), ".xlsx", max_expanded_mb=50)
    assert len(result.page_starts) == 2
    assert result.page_at(result.text.index("beta")) == 2
    assert result.text[result.page_starts[1] :].startswith("## Second")


def test_web_page() -> None:
    text = text_of((SAMPLES / "kvp_data_example.html").read_bytes(), ".html")
    assert "Telephone (123) 456-7890" in text
    assert "| II  | Lunch            | 2        |" in text


def test_web_page_keeps_its_header_and_drops_its_scripts() -> None:
    data = b"<html><header>Invoice 7</header><nav>Terms</nav><script>alert(1)</script><p>Total 5</p></html>"
    assert text_of(data, ".html").split() == ["Invoice", "7", "Terms", "Total", "5"]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-2", "utf-16"])
def test_web_page_in_its_encoding(encoding: str) -> None:
    data = f"<html><meta charset={encoding}><p>Größe</html>".encode(encoding)
    assert text_of(data, ".html") == "Größe"


def test_mail() -> None:
    data = (
        b"From: A <a@example.org>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease pay 12 EUR.\r\n"
    )
    text = text_of(data, ".eml")
    assert "Größe" in text
    assert "A <a@example.org>" in text
    assert "Please pay 12 EUR." in text


@pytest.mark.parametrize(
    "printed",
    [
        "one_two * three",
        "# 5",
        "a < b > c",
        "~100 `x` ! R&D",
        "- 7",
        "+49 69",
        "1. first",
        r"C:\dir",
        r"\- x",
        r"\\s\#5",
    ],
)
def test_text_stays_as_printed(printed: str) -> None:
    markup = escape(printed, quote=False)
    assert text_of(docx(paragraph("above") + paragraph(markup)), ".docx") == f"above\n\n{printed}"
    assert text_of(f"<html><p>above</p><p>{markup}</p></html>".encode(), ".html") == f"above\n\n{printed}"


@pytest.mark.parametrize(
    ("data", "text", "flags"),
    [
        ("Größe 5 €".encode(), "Größe 5 €", ()),
        ("Größe".encode("utf-8-sig"), "Größe", ()),
        ("Größe".encode("utf-16"), "Größe", ()),
        ("\ufeffGröße".encode("utf-16-be"), "Größe", ()),
        ("Größe".encode("utf-32"), "Größe", ()),
        ("Größe 5 €".encode("cp1252"), "Größe 5 €", ("decoded-as-cp1252",)),
        (b"a;b\r\n1;2\r\n", "a;b\n1;2", ()),
        (b"one\ftwo", "one\n\f\ntwo", ()),
    ],
)
def test_plain_text(data: bytes, text: str, flags: tuple[str, ...]) -> None:
    result = extract(data, ".csv", max_expanded_mb=50)
    assert (result.text, result.flags) == (text, flags)


def test_content_counts_more_than_the_name() -> None:
    assert "PAYMENT RECEIPT" in text_of(INVOICE.read_bytes(), ".txt")
    assert text_of(docx(paragraph("hello")), "") == "hello"
    assert text_of(docx(paragraph("hello")), ".xlsx") == "hello"


def test_entities_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    doctype = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    text = text_of(docx(paragraph("before") + paragraph("&x;") + paragraph("after"), doctype), ".docx")
    assert "before" in text
    assert "secret" not in text


def test_billion_laughs() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    doctype = f'<!DOCTYPE r [<!ENTITY e0 "lol">{entities}]>'
    text = text_of(docx(paragraph("before") + paragraph("&e11;"), doctype), ".docx")
    assert len(text) < 1000


def encrypted_archive() -> bytes:
    data = bytearray(docx(paragraph("x")))
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 8] |= 1
        at += 4
    return bytes(data)


def archive_with_lies() -> bytes:
    """Whose directory says that its last part unpacks to 4 GB."""
    data = bytearray(docx(paragraph("x")))
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, 0xFFFFFFF0)
    return bytes(data)


CORRUPT = {
    "html as pdf": (b"<!doctype html><html><p>not found</html>", ".pdf", "an HTML page"),
    "text as pdf": (b"invoice", ".pdf", "plain text"),
    "zip as pdf": (docx(paragraph("x")), ".pdf", "a ZIP archive or an Office document"),
    "image as pdf": (b"\xff\xd8\xff\xe0" + bytes(100), ".pdf", r"an image \(JPEG\)"),
    "garbage as pdf": (bytes(range(256)), ".pdf", "something unknown"),
    "text as docx": (b"invoice", ".docx", "plain text"),
    "garbage as xlsx": (bytes(range(256)), ".xlsx", "something unknown"),
    "truncated docx": (docx(paragraph("x"))[:-30], ".docx", "damaged or cut off"),
    "truncated pdf": (INVOICE.read_bytes()[:9000], ".pdf", "damaged or cut off"),
    "broken xml": (docx("<w:p><w:r>"), ".docx", "rejected"),
}


@pytest.mark.parametrize(("data", "suffix", "says"), CORRUPT.values(), ids=CORRUPT)
def test_corrupt(data: bytes, suffix: str, says: str) -> None:
    with pytest.raises(CorruptDocument, match=says):
        text_of(data, suffix)


OTHERS: dict[str, tuple[bytes, str, type[EngrossError]]] = {
    "blank": (b" \n\t\n", ".txt", EmptyDocument),
    "blank docx": (docx(paragraph(" ")), ".docx", EmptyDocument),
    "blank page": (b"<html><body></body></html>", ".html", EmptyDocument),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(100), ".jpg", NeedsOcr),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), ".png", NeedsOcr),
    "tiff": (b"II*\0" + bytes(100), ".tif", NeedsOcr),
    "webp": (b"RIFF\0\0\0\0WEBP" + bytes(100), ".webp", NeedsOcr),
    "unknown": (bytes(range(256)), ".bin", UnsupportedFormat),
    "binary as text": (bytes(range(256)), ".txt", UnsupportedFormat),
    "archive": (archive(a_DOT_txt="text"), ".zip", UnsupportedFormat),
    "old office": (OLE, ".doc", UnsupportedFormat),
    "encrypted office": (OLE + "EncryptedPackage".encode("utf-16-le"), ".docx", EncryptedDocument),
    "encrypted archive": (encrypted_archive(), ".docx", EncryptedDocument),
    "bomb": (docx(paragraph("0" * 60_000_000)), ".docx", DocumentTooLarge),
    "bomb below the limit": (docx(paragraph("0" * 20_000_000)), ".docx", DocumentTooLarge),
    "bomb by its directory": (archive_with_lies(), ".docx", DocumentTooLarge),
}


@pytest.mark.parametrize(("data", "suffix", "error"), OTHERS.values(), ids=OTHERS)
def test_named_error(data: bytes, suffix: str, error: type[EngrossError]) -> None:
    with pytest.raises(error) as caught:
        text_of(data, suffix)
    assert "\n" not in str(caught.value)


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(DocumentTooLarge, match="more than 2 parts"):
        text_of(docx(paragraph("x")), ".docx")
