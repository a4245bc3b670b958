"""What somebody sends from the approval page, kept so that nothing is lost when it does not count."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import FormData

from activities.approvals.corrections import check_json
from engross.contracts import ActKind
from engross.errors import EngrossError, InvalidRequest
from engross.job import LoadedJob
from starters.console.forms import Parsed, check, dumps, parse_form


@dataclass(frozen=True)
class Typed:
    """`shown` is the hash of what it was about. `parsed` is the answer in the form, None where none was sent."""

    kind: ActKind
    shown: str = ""
    key: str = ""
    reason: str = ""
    to: str = ""
    hours: str = ""
    parsed: Parsed | None = None
    value: Any = None
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """Why an act did not count."""

    error: EngrossError
    status: int


def typed_of(kind: ActKind, form: FormData) -> Typed:
    """What was typed beside the answer."""

    def text(name: str) -> str:
        value = form.get(name)
        return value if isinstance(value, str) else ""

    return Typed(
        kind=kind, shown=text("shown"), key=text("key"), reason=text("reason"), to=text("to"), hours=text("hours")
    )


def hours_of(text: str) -> float:
    """Hours as people write them. Raises `InvalidRequest` for what is no number."""
    try:
        hours = float(text.strip().replace(",", "."))
    except ValueError:
        hours = math.nan
    if not math.isfinite(hours):
        raise InvalidRequest("hours are a number, such as 24")
    return hours


def parsed_of(output: type[BaseModel], form: FormData) -> Parsed:
    """The answer in the form."""
    return parse_form(output, ((name, value) for name, value in form.multi_items() if isinstance(value, str)))


def checked(job: LoadedJob, step: str, output: type[BaseModel], parsed: Parsed) -> tuple[Any, dict[str, list[str]]]:
    """The answer as it would be stored, with messages by dotted path; with messages it is None."""
    errors = check(output, parsed.value, parsed.errors)
    if errors:
        return None, errors
    value, problems = check_json(job, step, dumps(parsed.value))
    for problem in problems:
        errors.setdefault(problem.field, []).append(problem.message)
    return (None if value is None else json.loads(value)), errors
