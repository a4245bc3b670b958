"""The row of a finished run: its table, and how it becomes a value and back."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from pydantic import TypeAdapter
from sqlalchemy import Column, ColumnElement, Index, Integer, MetaData, Table, Text, and_, or_

from activities.storage.database import Excluded
from engross.contracts import Contract, ErrorInfo, LedgerEntry, Outcome, Problem, StoreRequest, Usage
from engross.errors import InvalidRequest

_PROBLEMS: Final = TypeAdapter(tuple[Problem, ...])

# SQLite has no decimals and no time zones: money and times are text. Times have one width, so they sort as they should.
RUNS: Final = Table(
    "runs",
    MetaData(),
    Column("run_id", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("stored_at", Text, nullable=False),
    Column("document_name", Text, nullable=False),
    Column("document_sha256", Text),
    Column("answer", Text),
    Column("answer_sha256", Text),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("problems", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("cost_usd", Text),
    Column("model", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("repairs", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
)
INDEXES: Final = (
    Index("runs_newest", RUNS.c.started_at, RUNS.c.run_id, RUNS.c.tenant),
    Index("runs_of_job", RUNS.c.job, RUNS.c.started_at),
    Index("runs_of_tenant", RUNS.c.tenant, RUNS.c.started_at),
)


class StoredRun(Contract):
    """A finished run as stored. `answer` is the parsed JSON value; times are UTC; `cost_usd` None means unknown."""

    run_id: str
    job: str
    tenant: str
    outcome: Outcome
    started_at: datetime
    stored_at: datetime
    document_name: str = ""
    document_sha256: str | None = None
    answer: Any = None
    answer_sha256: str | None = None
    error: ErrorInfo | None = None
    problems: tuple[Problem, ...] = ()
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    model: str = ""
    prompt_version: str = ""
    calls: int = 0
    repairs: int = 0
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()


def stamp(time: datetime) -> str:
    """`time` as stored: UTC, microseconds, one width."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def started_stamp(text: str) -> str:
    """The time that a message names, as stored. Raises `InvalidRequest` when it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("started_at must be a time in ISO 8601") from None
    return stamp(time if time.tzinfo else time.replace(tzinfo=UTC))


def row_of(request: StoreRequest, answer: bytes | None) -> dict[str, Any]:
    """The row for `request`. Raises `InvalidRequest` when the answer is not JSON or `started_at` no time."""
    result = request.result
    row = {
        "run_id": result.run_id,
        "tenant": result.tenant,
        "job": result.job,
        "outcome": str(result.outcome),
        "started_at": started_stamp(request.started_at),
        "document_name": storable(request.document_name),
        "document_sha256": request.document.sha256 if request.document else None,
        "answer": _json_text(answer),
        "answer_sha256": _answer_sha256(request, answer),
        "error_type": result.error.type if result.error else None,
        "error_message": storable(result.error.message) if result.error else None,
        "problems": _PROBLEMS.dump_json(result.problems).decode(),
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
        "cached_tokens": result.usage.cached_tokens,
        "cost_usd": None if result.cost_usd is None else format(result.cost_usd, "f"),
        "model": result.model,
        "prompt_version": result.prompt_version,
        "calls": result.calls,
        "repairs": result.repairs,
    }
    # Tells a repeat of the same report, which changes nothing, from a correction of it.
    row["fingerprint"] = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    row["stored_at"] = stamp(datetime.now(UTC))
    return row


def is_newer(new: Excluded) -> ColumnElement[bool]:
    """Whether the row `new` is of a run that began later than the one in its place, or corrects what it says."""
    old = RUNS.c
    return or_(
        new.started_at > old.started_at, and_(new.started_at == old.started_at, new.fingerprint != old.fingerprint)
    )


def run_of(row: Mapping[str, Any]) -> StoredRun:
    """The value of a row."""
    values = dict(row)
    error = ErrorInfo(type=values["error_type"], message=values["error_message"]) if values["error_type"] else None
    usage = Usage(**{name: values[name] for name in Usage.model_fields})
    answer = None if values["answer"] is None else json.loads(values["answer"])
    problems = _PROBLEMS.validate_json(values["problems"])
    return StoredRun.model_validate(values | {"error": error, "usage": usage, "answer": answer, "problems": problems})


def _json_text(answer: bytes | None) -> str | None:
    if answer is None:
        return None
    try:
        json.loads(answer, parse_constant=_refuse)
        return answer.decode()
    except ValueError:
        raise InvalidRequest("the answer is not JSON in UTF-8") from None


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _answer_sha256(request: StoreRequest, answer: bytes | None) -> str | None:
    if answer is not None:
        return hashlib.sha256(answer).hexdigest()
    return request.result.answer.sha256 if request.result.answer else None


def storable(text: str) -> str:
    """`text` as every database takes it."""
    # PostgreSQL takes no NUL in text, and no database takes the half characters of undecodable file names.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
