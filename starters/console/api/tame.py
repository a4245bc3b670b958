"""JSON values that were read leniently, as what a model wrote, made such that any client can read them."""

import math
from typing import Any, Final

_DEEPEST: Final = 100
_TOO_DEEP: Final = "(nested too deeply to be shown)"


def tamed(value: Any, levels: int = _DEEPEST) -> Any:
    """`value` with half characters replaced, numbers that JSON lacks as text, and without what is nested too deeply."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float() if not math.isfinite(value):
            return str(value)
        case dict() | list() if levels == 0:
            return _TOO_DEEP
        case dict():
            return {tamed(name): tamed(part, levels - 1) for name, part in value.items()}
        case list():
            return [tamed(part, levels - 1) for part in value]
    return value
