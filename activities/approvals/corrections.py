"""Answers that people corrected: are they valid, and what did they change? The console and `check_act` ask the same."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from activities.checks.answer import check_answer
from engross.approval_fields import property_names
from engross.errors import InvalidRequest
from engross.job import LoadedJob

MOST_PATHS: Final = 200
"""Paths, and problems, that are told of one correction."""

# What pydantic puts before the words of a validator; it says nothing to an approver.
_PREFIXES: Final = ("Value error, ", "Assertion failed, ")

_Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with the field at a dotted path (empty: the answer as a whole).

    `message` may quote the value: it is for the person who typed it, never for logs, histories or other people.
    """

    field: str
    code: str
    message: str


def check_value(job: LoadedJob, step: str, value: Any) -> tuple[bytes | None, tuple[FieldProblem, ...]]:
    """`value`, as `json.dumps` takes it, as the canonical JSON of an answer of `step`; None when there are problems.

    Raises `InvalidRequest` when the job has no such step.
    """
    return check_json(job, step, json.dumps(value, ensure_ascii=False))


def check_json(job: LoadedJob, step: str, text: str) -> tuple[bytes | None, tuple[FieldProblem, ...]]:
    """As `check_value`, for JSON text."""
    checked = check_answer(output_of(job, step), text)
    problems = [
        FieldProblem(problem.field, problem.code, _plain(problem.field, message))
        for problem, message in zip(checked.problems, checked.messages, strict=True)
    ]
    return checked.value, tuple(problems[:MOST_PATHS])


def output_of(job: LoadedJob, step: str) -> type[BaseModel]:
    """The schema of `step`. Raises `InvalidRequest` when the job has no such step."""
    try:
        return job.step(step).output
    except KeyError:
        raise InvalidRequest(f"job {job.name!r} has no such step; name one of its own") from None


def diff(before: Any, after: Any) -> tuple[str, ...]:
    """The dotted paths at which two values of parsed JSON differ, 200 at most; an empty one is the whole value.

    What was added or removed is named by its own path, not by those inside it; items of lists are told by position.
    Both must be parsed in the same way, as a float is not the Decimal of the same digits. Keys of dictionaries are
    values: what leaves for histories and logs comes from `changed_fields`.
    """
    return _dotted(differences(before, after))


def changed_fields(output: type[BaseModel], before: Any, after: Any) -> tuple[str, ...]:
    """As `diff`, by names that the schema has only: a path ends before a key that a model or a person made up."""
    known = property_names(output)
    return _dotted(_cut(path, known) for path in differences(before, after))


def _dotted(paths: Iterator[_Path]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(".".join(map(str, path)) for path in paths), MOST_PATHS))


def _cut(path: _Path, known: frozenset[str]) -> _Path:
    made_up = next((n for n, part in enumerate(path) if isinstance(part, str) and part not in known), len(path))
    return path[:made_up]


def differences(before: Any, after: Any, at: _Path = ()) -> Iterator[_Path]:
    """The paths of `diff`, each as its keys and positions."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if key in before and key in after:
                yield from differences(before[key], after[key], (*at, key))
            else:
                yield (*at, key)
    elif isinstance(before, list) and isinstance(after, list):
        for number, (old, new) in enumerate(zip(before, after, strict=False)):
            yield from differences(old, new, (*at, number))
        for number in range(min(len(before), len(after)), max(len(before), len(after))):
            yield (*at, number)
    elif not _is_same(before, after):
        yield at


def _is_same(before: Any, after: Any) -> bool:
    """Numbers by value: 1.0 is 1. In Python True is 1 as well, in JSON it isn't."""
    numbers = (int, float, Decimal)
    if isinstance(before, numbers) and isinstance(after, numbers):
        return isinstance(before, bool) is isinstance(after, bool) and before == after
    return bool(before == after)


def _plain(field: str, message: str) -> str:
    message = message.removeprefix(f"{field or 'the answer'}: ")
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message
