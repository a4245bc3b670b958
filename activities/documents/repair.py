"""Mends JSON that a model wrote badly. Slow or endless on hostile input, so it runs in a child like the parsers."""

import json
from typing import Any, Final

import json_repair

MAX_BYTES: Final = 256 << 10
MAX_SECONDS: Final = 2.0


def repair(text: str) -> str | None:
    """The JSON object or array that `text` was meant to be, as text; None when there is none in it."""
    try:
        value: Any = json_repair.loads(text)
        # Prose comes back as '' and a stray bracket as an empty list: nothing that was an answer.
        return (
            json.dumps(value, ensure_ascii=False, allow_nan=False) if value and isinstance(value, dict | list) else None
        )
    except (ValueError, RecursionError):
        return None
