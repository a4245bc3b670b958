"""What of a library's log records may be told: where they come from, and words that its authors wrote.

Messages of libraries quote what they work on: a request, a task with its exception, a document. So a message is shown
only where it stands in the library's source as it is, with its placeholders unfilled.
"""

import linecache
import logging
import re
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import structlog

WORKFLOW_LOGGER: Final = "workflows"
"""The logger of workflows' own story; see `workflows.telling`."""

CORE_LOGGER: Final = "temporal"
"""What the SDK's core, which is no Python, tells."""

# A call to a logger is seldom longer.
_SOURCE_LINES: Final = 6
_PLACES: Final = 5
_MOST_CHARACTERS: Final = 200
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")
# The rest of what the core says of a failed task is the failure itself, message and payloads included.
_CORE_FIELD: Final = re.compile(
    r"activity_id|activity_type|attempt|namespace|run_id|task_queue|task_type|workflow_id|workflow_type"
)


def told_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a JSON line for `record`."""
    told: dict[str, Any] = {
        "event": "",
        "level": record.levelname.lower(),
        "logger": record.name,
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
    }
    core = getattr(record, "temporal_log", None)
    if core is not None:
        return told | _fields_of(core) | {"event": _core_message(record)}
    own = getattr(record, "engross", None)
    if isinstance(own, dict):
        told |= own
    if isinstance(record.exc_info, tuple):
        told |= exception_told(record.exc_info)
    if record.name.partition(".")[0] == WORKFLOW_LOGGER or _is_in_source(record):
        return {**structlog.contextvars.get_contextvars(), **told, "event": str(record.msg)}
    told["event"] = "a library's message, which could quote what it works on; see its source"
    return {**structlog.contextvars.get_contextvars(), **told, "place": f"{record.pathname}:{record.lineno}"}


def exception_told(info: tuple[Any, Any, TracebackType | None]) -> dict[str, Any]:
    """The type and the places of an exception. Its message can hold text."""
    kind, _, trace = info
    if kind is None:
        return {}
    return {"exception": kind.__name__, "places": places_of(trace)}


def places_of(trace: TracebackType | None) -> list[str]:
    """Where it happened, the innermost places last."""
    return [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)][-_PLACES:]


def _is_in_source(record: logging.LogRecord) -> bool:
    if not isinstance(record.msg, str) or not record.msg.strip():
        return False
    lines = [linecache.getline(record.pathname, record.lineno + i) for i in range(_SOURCE_LINES)]
    # As a whole literal: a short text could stand there as a part of something else.
    return any(f"{quote}{record.msg}{quote}" in "".join(lines) for quote in ('"', "'"))


def _core_message(record: logging.LogRecord) -> str:
    first = (str(record.msg).splitlines() or [""])[0]
    return _QUOTED.sub("[...]", first)[:_MOST_CHARACTERS]


def _fields_of(core: Any) -> dict[str, Any]:
    # The workflow's id is the run's name everywhere else, and the core's run id the execution's.
    names = {"workflow_id": "run_id", "run_id": "workflow_run_id"}
    return {names.get(name, name): value for name, value in core.fields.items() if _CORE_FIELD.fullmatch(name)}
