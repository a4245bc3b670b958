"""What an answer tells the workflow: numbers and names that it goes by, never text of the document."""

import json
from collections.abc import Sequence
from typing import Any, Final

_LONGEST: Final = 64


def told_by(answer: bytes, fields: Sequence[str]) -> dict[str, float | str]:
    """Of the JSON object `answer` the `fields`: numbers, strings cut to 64 ASCII characters, of lists the length.

    Fields that it doesn't have, and values of other types, are left out.
    """
    if not fields:
        return {}
    value: Any = json.loads(answer)
    told = {name: _small(value[name]) for name in fields if isinstance(value, dict) and name in value}
    return {name: small for name, small in told.items() if small is not None}


def _small(value: object) -> float | str | None:
    if isinstance(value, str):
        return value.encode("ascii", "replace").decode()[:_LONGEST]
    if isinstance(value, list):
        return float(len(value))
    return float(value) if isinstance(value, int | float) else None
