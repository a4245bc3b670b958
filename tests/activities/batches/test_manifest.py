"""Manifests, good and bad: a line that is wrong is a row that says so."""

import pytest

from activities.batches.manifest import read_manifest
from engross.contracts import BatchRow


def the_row(line: bytes) -> BatchRow:
    [row] = read_manifest(line)
    return row


def test_a_line_names_a_document() -> None:
    row = the_row(b'{"uri": "file:///a.pdf", "name": "in/\\u00fc.pdf", "media_type": "text/plain"}')
    assert (row.row, row.document.uri, row.document.name) == (1, "file:///a.pdf", "in/ü.pdf")
    assert (row.document.media_type, row.error, row.duplicate_of) == ("text/plain", None, None)


def test_blank_lines_are_no_rows_and_lines_may_end_as_on_windows() -> None:
    rows = read_manifest(b'\xef\xbb\xbf{"uri": "file:///a"}\r\n\r\n  \n{"uri": "file:///b"}\n\n')
    assert [(row.row, row.document.uri, row.error) for row in rows] == [
        (1, "file:///a", None),
        (2, "file:///b", None),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"a.pdf", "is not JSON"),
        (b'{"uri": "file:///a"', "is not JSON"),
        (b'{"uri": "\xff"}', "is not JSON"),
        (b"[]", "is no JSON object"),
        (b"7", "is no JSON object"),
        (b"{}", 'has no "uri"'),
        (b'{"uri": " "}', 'has no "uri"'),
        (b'{"uri": 7}', "has a wrong 'uri'"),
        (b'{"uri": null}', "has a wrong 'uri'"),
        (b'{"uri": "file:///' + b"a" * 5000 + b'"}', "has a wrong 'uri'"),
        (b'{"uri": "file:///a", "path": "b"}', "has an unknown key 'path'"),
        (b'{"uri": "file:///a", "error": {"type": "Oops", "message": "m"}}', "has an error of no name"),
        (b'{"uri": "file:///a", "error": "no"}', "has a wrong 'error'"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(line: bytes, complaint: str) -> None:
    good, bad, other = read_manifest(b'{"uri": "file:///1"}\n\n' + line + b'\n{"uri": "file:///2"}')
    assert (good.error, other.error) == (None, None)
    assert bad.error is not None
    assert bad.error.type == "BadManifest"
    assert bad.error.message.startswith(f"line 3 of the manifest {complaint}")
    assert (bad.row, bad.document.name, bad.document.uri) == (2, "line 3", "")


def test_a_client_may_say_why_it_has_no_document() -> None:
    row = the_row(b'{"name": "a.pdf", "error": {"type": "DocumentNotFound", "message": "no file at a.pdf"}}')
    assert row.error is not None
    assert (row.error.type, row.error.message, row.document.name) == ("DocumentNotFound", "no file at a.pdf", "a.pdf")


def test_a_second_row_of_the_same_document_names_the_first() -> None:
    a, b, error = b'{"uri": "file:///a"}', b'{"uri": "file:///b"}', b'{"uri": "file:///a", "nam": ""}'
    rows = read_manifest(b"\n".join([a, error, b, a, b, a, error]))
    assert [row.duplicate_of for row in rows] == [None, None, None, 1, 3, 1, None]


@pytest.mark.parametrize("manifest", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_nothing_is_no_rows(manifest: bytes) -> None:
    assert read_manifest(manifest) == []
