"""What a schema has against a value, in words for the person who filled it in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from starters.console.forms.exact import dumps

_START: Final = "Input should be "
_VALUE: Final = "Value error, "


def check(
    model: type[BaseModel], value: Any, unread: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Messages by dotted path; nothing when `value` is valid. Those about the whole have the path "".

    `unread` is what `parse_form` could not even read: it is told as well, instead of what follows from it.

    Messages can quote the value: they go to the person who gave it, never into logs.
    """
    unread = unread or {}
    found = {
        path: messages
        for path, messages in _checked(model, value).items()
        if not any(known == path or known.startswith((f"{path}.", f"{path}:")) for known in unread)
    }
    return found | {path: list(messages) for path, messages in unread.items()}


def _checked(model: type[BaseModel], value: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        model.model_validate_json(dumps(value))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=True):
            path = ".".join(str(part) for part in problem["loc"])
            message = _message(problem["type"], problem["msg"], problem["input"], problem.get("ctx", {}))
            if message not in found.setdefault(path, []):
                found[path].append(message)
    except Exception as error:  # noqa: BLE001 - validators are the user's code; a crash there is a value that fails
        found[""] = [f"A validator of the schema could not judge this ({type(error).__name__})."]
    return found


def _message(kind: str, message: str, given: Any, context: dict[str, Any]) -> str:
    if kind == "missing" or given is None or given == "":
        return "Give a value."
    if kind == "string_too_short":
        return f"Use at least {context['min_length']} characters."
    if kind == "string_too_long":
        return f"Use at most {context['max_length']} characters; these are {len(given)}."
    message = message.removeprefix(_VALUE)
    if message.startswith(_START):
        message = f"This must be {message.removeprefix(_START)}"
    message = message[:1].upper() + message[1:]
    return message if message.endswith((".", "!", "?")) else f"{message}."
