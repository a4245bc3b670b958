"""`engross cases`: what people corrected, as labelled cases for evaluation."""

import json
from datetime import date
from typing import Any, Final, NoReturn

from activities.approvals.cases import Case, Cases
from activities.storage import BlobStore
from activities.storage.database import Database
from engross.contracts import BlobRef, ErrorInfo
from engross.errors import DocumentError
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note
from starters.running import run
from workers.stores_access import open_blobs

_PLAIN: Final = ("approval_id", "job", "tenant", "step", "document_sha256", "document_name", "changed", "by", "at")


def export(settings: Settings, *, job: str, tenant: str | None, since: date | None, with_text: bool) -> ExitCode:
    """Writes the cases of `job`, oldest first. One whose values are gone says so, and stops no other."""
    damaged = run(_export(settings, job, tenant, since, with_text=with_text))
    if damaged:
        note(f"engross: {damaged:,} of the cases lack values that the blob store no longer has; see their `error`")
    return ExitCode.NOT_DONE if damaged else ExitCode.OK


async def _export(settings: Settings, job: str, tenant: str | None, since: date | None, *, with_text: bool) -> int:
    """How many cases lack their values."""
    blobs, database = open_blobs(settings), Database.open(settings.results_url)
    written = damaged = 0
    try:
        cases = Cases(database)
        await cases.start()
        async for case in cases.of(job, tenant=tenant, since=since):
            values = await _values(blobs, case, with_text=with_text)
            fields = case.model_dump(mode="json", include=set(_PLAIN))
            data(json.dumps({name: fields[name] for name in _PLAIN} | values))
            written += 1
            damaged += "error" in values
    finally:
        await database.close()
    if not written:
        note(f"no answer of {job} has been corrected")
    return damaged


async def _values(blobs: BlobStore, case: Case, *, with_text: bool) -> dict[str, Any]:
    try:
        values = {"before": await _value(blobs, case.before), "after": await _value(blobs, case.after)}
        if with_text:
            text = await _value(blobs, case.text)
            values["text"] = None if text is None else text["text"]
    except DocumentError as error:
        info = ErrorInfo(type=error.type, message=str(error))
        return {"before": None, "after": None, "error": info.model_dump(mode="json")}
    return values


async def _value(blobs: BlobStore, ref: BlobRef | None) -> Any:
    """The JSON value of a blob; its text where it is no JSON, as a draft may be."""
    if ref is None:
        return None
    text = (await blobs.get(ref)).decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
