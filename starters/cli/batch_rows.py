"""Rows as documents: each record of a CSV file, or each object of JSON lines, is a text of its own."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from engross.errors import BadManifest, EmptyDocument, EngrossError, InvalidRequest
from starters.batch_items import BatchItem, info
from starters.cli.texts import read_text

_JSON_LINES: Final = (".jsonl", ".ndjson")
_DELIMITERS: Final = ",;\t|"
_LONGEST_CELL: Final = 100_000_000
_SHOWN_COLUMNS: Final = 10
_PLAIN: Final = "text/plain"
_OPTION: Final = "--rows"

# A record with the number that people know it by: of its line, or as a spreadsheet shows it.
_Record = tuple[int, dict[str, str] | EngrossError]


def row_items(path: Path, column: str | None) -> Iterator[BatchItem]:
    """A document for each record: the text of `column`, or all columns as lines `name: value`.

    A record without text, or one that is broken, is an item with that problem. Raises `InvalidRequest` for a file that
    is no table, or lacks the column.
    """
    text = read_text(path, _OPTION)
    is_json = path.suffix.lower() in _JSON_LINES or text.lstrip().startswith("{")
    records = _of_json(text) if is_json else _of_csv(text, path)
    if column is not None:
        records = _with_column(list(records), path, column)
    for number, record in records:
        yield _item(f"{path.name} row {number}.txt", record, column)


def _item(name: str, record: dict[str, str] | EngrossError, column: str | None) -> BatchItem:
    if isinstance(record, EngrossError):
        return BatchItem(name, b"", info(record))
    if column is not None and column not in record:
        return BatchItem(name, b"", info(BadManifest(f"{name} has no {column!r}")))
    values = {key: value for key, value in record.items() if value.strip()}
    text = values.get(column, "") if column is not None else "\n".join(f"{key}: {values[key]}" for key in values)
    if not text:
        return BatchItem(name, b"", info(EmptyDocument(f"{name} has no text")))
    return BatchItem(name, text.encode("utf-8", "replace"), media_type=_PLAIN)


def _with_column(records: Sequence[_Record], path: Path, column: str) -> Iterator[_Record]:
    columns = {name: None for _, record in records if not isinstance(record, EngrossError) for name in record}
    if columns and column not in columns:
        known = ", ".join(list(columns)[:_SHOWN_COLUMNS])
        raise InvalidRequest(f"{_OPTION} {path} has no column {column!r}; it has {known}")
    yield from records


# --- JSON lines -------------------------------------------------------------------------------------------------


def _of_json(text: str) -> Iterator[_Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _object(number, line)


def _object(number: int, line: str) -> dict[str, str] | EngrossError:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return BadManifest(f"line {number} is not JSON")
    if not isinstance(record, dict):
        return BadManifest(f"line {number} is no JSON object")
    return {name: _text(value) for name, value in record.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- CSV --------------------------------------------------------------------------------------------------------


def _of_csv(text: str, path: Path) -> Iterator[_Record]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    records = _records(reader)
    number, header = next(records, (0, []))
    if isinstance(header, EngrossError):
        raise InvalidRequest(f"{_OPTION} {path}: {header}")
    names = [name.strip() or f"column {place}" for place, name in enumerate(header, start=1)]
    if len(set(names)) < len(names):
        raise InvalidRequest(f"{_OPTION} {path}: two columns of its header have the same name")
    for number, cells in records:
        yield number, cells if isinstance(cells, EngrossError) else _named(number, names, cells)


def _records(reader: Any) -> Iterator[tuple[int, list[str] | EngrossError]]:
    """The records with their numbers; blank lines are counted only. A broken one does not end the others."""
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, BadManifest(f"row {number} is not CSV: {error}")
            continue
        if cells:
            yield number, cells


def _named(number: int, names: Sequence[str], cells: Sequence[str]) -> dict[str, str] | EngrossError:
    if any(cell.strip() for cell in cells[len(names) :]):
        return BadManifest(f"row {number} has {len(cells)} cells, the header {len(names)}: quote text with delimiters")
    return dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=False))


def _delimiter(text: str) -> str:
    """The delimiter that splits the header into most columns; a comma when none does."""

    def columns(delimiter: str) -> int:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []))

    return max(_DELIMITERS, key=columns)
