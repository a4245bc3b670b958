"""Inputs that people type: anything decodes, and says what is wrong with it.

Temporal retries a workflow whose input cannot be decoded for ever; one that decodes ends with a named error.
"""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.references import Contract, DocumentSource
from engross.names import is_name

_C = TypeVar("_C", bound=Contract)


def decoded(kind: type[_C], value: Any, handler: ModelWrapValidatorHandler[_C]) -> _C:
    """`value` as a `kind`, which has a field `unusable` for what is wrong with it."""
    try:
        known = handler(value)
    except ValidationError as error:
        fields = sorted({".".join(map(str, problem["loc"])) or "input" for problem in error.errors()})
        return kind.model_construct(unusable=f"wrong type: {', '.join(fields)}")
    extra = sorted(set(value) - set(kind.model_fields)) if isinstance(value, dict) else []
    return known.model_copy(update={"unusable": f"unknown fields: {', '.join(extra)}"}) if extra else known


def problem_of(job: str, tenant: str, source: DocumentSource, field: str) -> str:
    """What is wrong with these parts of an input, with the fix; empty when nothing is."""
    if not is_name(job):
        return '"job" must name a job: lower-case letters, digits, "-" and "_"'
    if not is_name(tenant):
        return '"tenant" must be lower-case letters, digits, "-" and "_", 63 at most'
    if not source.uri:
        return f'"{field}" must have a "uri", such as "file:///home/me/invoice.pdf"'
    return ""
