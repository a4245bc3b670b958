"""Manifests: JSON lines that name a document each."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engross import errors
from engross.contracts import BatchRow, DocumentSource, ErrorInfo
from engross.errors import BadManifest, EngrossError

FORM: Final = '{"uri": "blob:..." or "file:///...", "name": "..."}'

_BOM: Final = b"\xef\xbb\xbf"
_SHOWN_KEY: Final = 40
# A hundred rows cross Temporal in one message.
_Short = Annotated[str, Field(max_length=1024)]
_Long = Annotated[str, Field(max_length=4096)]


class ManifestLine(BaseModel):
    """One line. `error` is what a client found out already: that it has no document to give."""

    model_config = ConfigDict(extra="forbid", strict=True)

    uri: _Long = ""
    name: _Short = ""
    media_type: _Short = ""
    error: ErrorInfo | None = None


def read_manifest(data: bytes) -> list[BatchRow]:
    """The rows of a manifest, numbered from 1. Blank lines are none; a line that is wrong is a row with an error."""
    rows: list[BatchRow] = []
    first: dict[str, int] = {}
    for number, line in enumerate(data.removeprefix(_BOM).splitlines(), start=1):
        if not line.strip():
            continue
        row = _row(line, number, len(rows) + 1)
        if row.error is None:
            earlier = first.setdefault(row.document.uri, row.row)
            row = row if earlier == row.row else row.model_copy(update={"duplicate_of": earlier})
        rows.append(row)
    return rows


def _row(line: bytes, number: int, row: int) -> BatchRow:
    try:
        told = ManifestLine.model_validate_json(line)
        _check(told)
    except (ValidationError, BadManifest) as error:
        reason = _reason(error) if isinstance(error, ValidationError) else str(error)
        message = f"line {number} of the manifest {reason}; write one {FORM} a line"
        return BatchRow(
            row=row,
            document=DocumentSource(name=f"line {number}"),
            error=ErrorInfo(type=BadManifest.__name__, message=message),
        )
    document = DocumentSource(uri=told.uri, name=told.name, media_type=told.media_type)
    return BatchRow(row=row, document=document, error=told.error)


def _check(told: ManifestLine) -> None:
    if told.error is None and not told.uri.strip():
        raise BadManifest('has no "uri"')
    if told.error is not None:
        kind = getattr(errors, told.error.type, None)
        if not (isinstance(kind, type) and issubclass(kind, EngrossError)):
            raise BadManifest("has an error of no name that is known")


def _reason(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(map(str, problem["loc"]))[:_SHOWN_KEY]
    if problem["type"] == "json_invalid":
        return "is not JSON"
    if problem["type"] == "extra_forbidden":
        return f"has an unknown key {field!r}"
    return f"has a wrong {field!r}" if field else "is no JSON object"
