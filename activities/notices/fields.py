"""The few values of an answer that an e-mail may hold, where the job's policy allows it."""

import json
from typing import Any, Final, Protocol

from activities.notices.told import one_line
from activities.notices.words import Field
from engross.contracts import BlobRef
from engross.errors import DocumentError

_MOST_FIELDS: Final = 8
_MOST_CHARACTERS: Final = 100
_MOST_BYTES: Final = 1_000_000


class Answers(Protocol):
    """Where answers are kept."""

    async def get(self, ref: BlobRef) -> bytes: ...


async def fields_of(answers: Answers, ref: BlobRef | None) -> list[Field]:
    """The first texts, numbers and booleans at the top of the answer; none when it can't be read.

    The notice is worth more than they are, so it goes without them. Raises `ServiceUnavailable`.
    """
    if ref is None or ref.size > _MOST_BYTES:
        return []
    try:
        # Numbers stay as they are written: a float would round amounts.
        answer = json.loads(await answers.get(ref), parse_float=str, parse_int=str, parse_constant=str)
    except (DocumentError, ValueError, RecursionError):
        return []
    if not isinstance(answer, dict):
        return []
    found = [(one_line(name), _text(value)) for name, value in answer.items() if isinstance(value, str | bool)]
    return found[:_MOST_FIELDS]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(value, _MOST_CHARACTERS)
