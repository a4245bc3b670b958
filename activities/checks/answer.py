"""Checks what a model wrote against a job's schema. The model's text is untrusted input like any other."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from activities.checks import sources
from engross.contracts import Problem

MAX_BYTES: Final = 8_000_000
NOT_JSON: Final = "not_json"


@dataclass(frozen=True)
class Checked:
    """`value` is the answer as canonical JSON when it holds. Otherwise `problems`, and for each a `message`.

    Messages may quote what the model wrote: they go back to the model, never into histories or logs.
    """

    value: bytes | None
    problems: tuple[Problem, ...] = ()
    messages: tuple[str, ...] = ()


class _Unacceptable(ValueError):
    """JSON that parsers accept and nobody should."""


def check_answer(output: type[BaseModel], text: str, allowed: Sequence[int] = ()) -> Checked:
    """Whether `text` is strict JSON that satisfies `output` and all its validators.

    `allowed` are the chunks that it may cite as sources; when there is one only, code cites it.
    """
    try:
        raw = read_json(text)
    except ValueError as error:
        return Checked(None, (Problem(field="", code=NOT_JSON),), (f"The answer is not valid JSON: {error}",))
    try:
        citing = bool(allowed) and sources.cites(output)
        if citing and len(allowed) == 1:
            text = json.dumps(sources.fill(output, raw, allowed[0]), ensure_ascii=False)
        checked = output.model_validate_json(text).model_dump_json().encode()
        return _sourced(checked, allowed) if citing else Checked(checked)
    except ValidationError as error:
        return _explain(output, error)
    except Exception as error:  # noqa: BLE001 - validators are the user's code; a crash there is an answer that fails
        code = f"validator_crashed_{type(error).__name__}"
        return Checked(
            None, (Problem(field="", code=code),), ("A validator of the schema could not judge the answer.",)
        )


def _sourced(answer: bytes, allowed: Sequence[int]) -> Checked:
    problems = tuple(sources.unknown(json.loads(answer), allowed))
    if not problems:
        return Checked(answer)
    return Checked(None, problems, tuple(sources.message(problem, allowed) for problem in problems))


def read_json(text: str) -> Any:
    """Parses strict JSON: no NaN or infinity, no duplicate keys, no bottomless nesting, 1 MB at most.

    Raises ValueError saying which; never with the text itself.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _Unacceptable(f"longer than {MAX_BYTES:,} bytes")
    try:
        return json.loads(text, parse_constant=_no_constants, parse_float=_finite, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise _Unacceptable(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _Unacceptable("nested too deeply") from None


def _no_constants(name: str) -> float:
    raise _Unacceptable(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Unacceptable("a number is too large")
    return number


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise _Unacceptable("an object has the same key twice")
    return keys


def _explain(output: type[BaseModel], error: ValidationError) -> Checked:
    known = _property_names(output.model_json_schema())
    problems, messages = [], []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        # Keys that the model made up are its text: only names that the schema has may leave.
        path = ".".join(str(part) for part in problem["loc"] if isinstance(part, int) or part in known)
        problems.append(Problem(field=path, code=problem["type"]))
        messages.append(f"{path or 'the answer'}: {problem['msg']}")
    return Checked(None, tuple(problems), tuple(messages))


def _property_names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_property_names, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {}))
    return own.union(*map(_property_names, schema.values())) if schema else own
