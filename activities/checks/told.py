"""What an answer tells the workflow: numbers and labels that it goes by, never text that a model made up."""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from engross.contracts import RouterOptions
from engross.job import LoadedJob


def told_by(answer: bytes, fields: Sequence[str], labels: Collection[str]) -> dict[str, float | str]:
    """Of the JSON object `answer` the `fields`: numbers, of lists the length, of strings those among `labels`.

    Any other string is told as an empty one: histories and messages hold no model's text. Fields that the answer
    doesn't have, and values of other types, are left out.
    """
    if not fields:
        return {}
    value: Any = json.loads(answer)
    told = {name: _small(value[name], labels) for name in fields if isinstance(value, dict) and name in value}
    return {name: small for name, small in told.items() if small is not None}


def labels_of(job: LoadedJob, output: type[BaseModel]) -> frozenset[str]:
    """The strings that people have written down for an answer: those of its schema's enumerations, and of routes."""
    options = job.job.pattern.options
    routes = options.routes if isinstance(options, RouterOptions) else ()
    return _enumerated(output) | {route.label for route in routes}


@lru_cache(maxsize=512)
def _enumerated(output: type[BaseModel]) -> frozenset[str]:
    return frozenset(_values(output.model_json_schema()))


def _values(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        listed = [*(schema.get("enum") or ()), schema.get("const")]
        yield from (each for each in listed if isinstance(each, str))
        for inner in schema.values():
            yield from _values(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _values(inner)


def _small(value: object, labels: Collection[str]) -> float | str | None:
    if isinstance(value, str):
        return value if value in labels else ""
    if isinstance(value, list):
        return float(len(value))
    return float(value) if isinstance(value, int | float) else None
