"""What a command line can name as documents of a batch, good and bad."""

import json
from pathlib import Path

import pytest

from engross.errors import EmptyBatch, InvalidRequest
from starters.batch_items import BatchItem
from starters.cli.batch_input import Sources, find_items


def rows(path: Path, text: str | bytes, column: str | None = None) -> list[BatchItem]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return find_items(Sources(rows=path, column=column))


def told(items: list[BatchItem]) -> list[str]:
    """The text of each, or the name of its problem."""
    return [
        item.problem.type if item.problem else item.document.decode() if isinstance(item.document, bytes) else "?"
        for item in items
    ]


# --- CSV --------------------------------------------------------------------------------------------------------


def test_a_row_is_a_text_of_all_its_columns(tmp_path: Path) -> None:
    items = rows(tmp_path / "in.csv", "id,text\n1,hello\n2,\n")
    assert told(items) == ["id: 1\ntext: hello", "id: 2"]
    assert [item.name for item in items] == ["in.csv row 2.txt", "in.csv row 3.txt"]
    assert {item.media_type for item in items} == {"text/plain"}


@pytest.mark.parametrize(
    "text",
    [
        "id,note\n1,hello\n",
        "id;note\r\n1;hello\r\n",
        "id\tnote\n1\thello",
        "id|note\n1|hello\n",
        b"\xef\xbb\xbfnote;id\nhello;1\n",
        "id;note\n1;hello\n".encode("utf-16"),
        ' id ;"note"\n1;"hello"\n',
    ],
)
def test_any_usual_csv_is_read(tmp_path: Path, text: str | bytes) -> None:
    assert told(rows(tmp_path / "in.csv", text, "note")) == ["hello"]


def test_quotes_hold_delimiters_line_ends_and_quotes(tmp_path: Path) -> None:
    text = 'a,b\n"x, y","line 1\nline ""2"""\n'
    assert told(rows(tmp_path / "in.csv", text)) == ['a: x, y\nb: line 1\nline "2"']


def test_a_delimiter_in_quotes_of_the_header_is_none(tmp_path: Path) -> None:
    assert told(rows(tmp_path / "in.csv", '"a;b;c",d\n1,2\n', "d")) == ["2"]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert told(rows(tmp_path / "in.csv", "text\nhello there\n")) == ["text: hello there"]


def test_a_bad_row_is_one_that_says_so(tmp_path: Path) -> None:
    text = 'id,text\n1,a\n\n2\n3,b,c\n ,\n"x"y,7\n4,d,\n5,"open\n6,e\n'
    items = rows(tmp_path / "in.csv", text)
    assert told(items) == [
        "id: 1\ntext: a",
        "id: 2",
        "BadManifest",
        "EmptyDocument",
        "BadManifest",
        "id: 4\ntext: d",
        "BadManifest",
    ]
    assert [item.name for item in items] == [f"in.csv row {number}.txt" for number in (2, 4, 5, 6, 7, 8, 9)]
    messages = [item.problem.message for item in items if item.problem]
    assert "row 5 has 3 cells, the header 2" in messages[0]
    assert "row 9 is not CSV" in messages[3]


def test_an_empty_cell_of_the_column_is_an_empty_document(tmp_path: Path) -> None:
    assert told(rows(tmp_path / "in.csv", "id,text\n1,\n2,b\n", "text")) == ["EmptyDocument", "b"]


def test_columns_without_a_name_have_a_number(tmp_path: Path) -> None:
    assert told(rows(tmp_path / "in.csv", "id,\n1,x\n")) == ["id: 1\ncolumn 2: x"]


@pytest.mark.parametrize(
    ("text", "column", "complaint"),
    [
        ("id,text\n1,a\n", "txt", "no column 'txt'; it has id, text"),
        ("id,id\n1,a\n", None, "same name"),
        ('"id,text\n1,a\n', None, "is not CSV"),
        (b"id\n\xe9\n", None, "not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused_with_the_fix(
    tmp_path: Path, text: str | bytes, column: str | None, complaint: str
) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        rows(tmp_path / "in.csv", text, column)


# --- JSON lines -------------------------------------------------------------------------------------------------


def test_an_object_a_line_is_a_row(tmp_path: Path) -> None:
    text = '{"id": 1, "text": "a\\nb", "none": null}\n\n{"text": ["ü"]}\r\n'
    items = rows(tmp_path / "in.jsonl", text)
    assert told(items) == ["id: 1\ntext: a\nb", 'text: ["ü"]']
    assert [item.name for item in items] == ["in.jsonl row 1.txt", "in.jsonl row 3.txt"]


def test_bad_lines_are_rows_that_say_so(tmp_path: Path) -> None:
    text = '{"text": "a"}\n{"text": \n[]\n{"other": 1}\n{"text": " "}\n{"text": {"b": 1}}\n' + "[" * 100_000
    assert told(rows(tmp_path / "in.txt", text, "text")) == [
        "a",
        "BadManifest",
        "BadManifest",
        "BadManifest",
        "EmptyDocument",
        '{"b": 1}',
        "BadManifest",
    ]


def test_a_column_that_no_object_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no column 'txt'; it has text"):
        rows(tmp_path / "in.jsonl", '{"text": "a"}\n', "txt")


# --- manifests and paths ----------------------------------------------------------------------------------------


def manifest(path: Path, text: bytes) -> list[BatchItem]:
    path.write_bytes(text)
    return find_items(Sources(manifest=path))


def test_a_manifest_may_be_paths(tmp_path: Path) -> None:
    items = manifest(tmp_path / "list.txt", b"\xef\xbb\xbfa b.pdf\r\n\n  /x/[c]*.pdf \n\xff.pdf\n")
    assert [item.document for item in items] == [Path("a b.pdf"), Path("/x/[c]*.pdf"), Path("\udcff.pdf")]


def test_a_manifest_may_be_json_lines(tmp_path: Path) -> None:
    lines: list[object] = [{"uri": "file:///a.pdf", "name": "A"}, {"uri": "b.pdf"}, {"uri": "b.pdf", "nam": "B"}]
    text = "\n".join(map(json.dumps, lines)) + "\nnot JSON\n"
    items = manifest(tmp_path / "list", text.encode())
    assert [(item.name, item.document) for item in items[:2]] == [("A", "file:///a.pdf"), ("b.pdf", Path("b.pdf"))]
    assert [item.problem.type if item.problem else None for item in items] == [None, None, "BadManifest", "BadManifest"]


def test_paths_that_lead_nowhere_stop_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    items = find_items(Sources(paths=[str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), str(tmp_path / "*.pdf")]))
    assert [(Path(item.name).name, item.problem and item.problem.type) for item in items] == [
        ("*.pdf", "DocumentNotFound"),
        ("a.txt", None),
        ("b.txt", "DocumentNotFound"),
    ]


def test_nothing_is_an_empty_batch(tmp_path: Path) -> None:
    with pytest.raises(EmptyBatch):
        find_items(Sources(paths=[str(tmp_path)]))
    for name in ("list.txt", "in.csv", "in.jsonl"):
        (tmp_path / name).write_text("\n")
    with pytest.raises(EmptyBatch):
        find_items(Sources(manifest=tmp_path / "list.txt"))
    with pytest.raises(EmptyBatch):
        find_items(Sources(rows=tmp_path / "in.csv"))
    with pytest.raises(EmptyBatch):
        find_items(Sources(rows=tmp_path / "in.jsonl"))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="--rows"):
        Sources(paths=["a"], column="text")
    with pytest.raises(InvalidRequest, match="name documents"):
        Sources()
    with pytest.raises(InvalidRequest, match=r"--manifest .*cannot be read: No such file"):
        find_items(Sources(manifest=tmp_path / "none"))
    with pytest.raises(InvalidRequest, match=r"--rows .*cannot be read"):
        find_items(Sources(rows=tmp_path))
