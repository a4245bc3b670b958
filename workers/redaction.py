"""The last line of defence of logs and traces: no secret leaves here, and nothing that could be a document's text.

Whoever logs is to name nothing of that kind in the first place. This catches what slips through.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

import structlog
from pydantic import SecretStr

from engross.settings import Settings

HIDDEN: Final = "[redacted]"

_MOST_CHARACTERS: Final = 500
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 4
# Shorter ones are found in too much that is none.
_SHORTEST_SECRET: Final = 8
# What is named so, by its last word, holds text unless it is a number.
_TEXT: Final = re.compile(
    r"answers?|arguments|body|bodies|completion|contents?|data|documents?|draft|filename|html|inputs?|messages|notes?"
    r"|outputs?|pages?|payload|prompts?|quotes?|reply|result|texts?|transcript|values?"
)
_SECRET: Final = re.compile(r"apikey|authorization|cookie|credentials?|passwd|password|secrets?|token")
_SECRET_KEY: Final = re.compile(r"access|api|encryption|master|private|secret|signing")
# By our own contract these never hold text, and can be long: they are cut. All else that is long is left out.
_TOLD: Final = frozenset(("event", "message", "reason", "cause"))
_WORDS: Final = re.compile(r"[^a-z0-9]+")
_SHAPES: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic
    r"|\beg_[0-9a-f]{8}_[A-Za-z0-9_-]{43}"  # keys of people
    r"|\bgh[pousr]_\w{20,}|\bxox[a-z]-[\w-]{10,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*",  # JSON web tokens
    re.DOTALL,
)
# One of these is in whatever `_SHAPES` finds.
_SHAPE_HINTS: Final = ("PRIVATE KEY", "k-", "eg_", "gh", "xox", "AKIA", "ASIA", "AIza", "eyJ")
_NAMED: Final = re.compile(
    r"(\b(?:bearer|basic)\s+|\b(?:password|passwd|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?)"
    r"(?!bearer|basic)[^\s\"'&,;]{3,}",
    re.IGNORECASE,
)
_IN_URLS: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/@]+(?=@)", re.IGNORECASE)


class Redactor:
    """A structlog processor; `value` does the same for what is not a log line. `secrets` are hidden wherever met."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        # The longest first: a part of one can be another.
        self._known = sorted((each for each in secrets if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, _logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {self._plain(str(key)): self.value(str(key), value) for key, value in event.items()}

    def value(self, name: str, value: object, depth: int = 0) -> Any:
        """What may be shown of `value`, in types that JSON has. Of objects it doesn't know, their type."""
        if _is_secret(name):
            return HIDDEN if value else value
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(name, value.value if isinstance(value, Enum) else value)
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._many(name, value, depth)
        if isinstance(value, Decimal | date | timedelta | UUID):
            return str(value)
        if isinstance(value, PurePath):
            return self._text(name, str(value))
        return f"<{type(value).__name__}>"

    def _text(self, name: str, text: str) -> str:
        # In a mapping, what is in a field of an answer is part of the answer.
        if _is_text(name):
            return f"[{len(text)} characters]"
        shown = self._plain(text)
        if len(text) <= _MOST_CHARACTERS:
            return shown
        return f"{shown[:_MOST_CHARACTERS] if name in _TOLD else ''}[{len(text)} characters]"

    def _many(self, name: str, value: Any, depth: int) -> Any:
        if depth >= _DEEPEST or len(value) > _MOST_ITEMS:
            return f"[{len(value)} items]"
        if isinstance(value, Mapping):
            return {self._plain(str(key)): self.value(f"{name}.{key}", each, depth + 1) for key, each in value.items()}
        return [self.value(name, each, depth + 1) for each in value]

    def _plain(self, text: str) -> str:
        # To look for a few letters costs a hundredth of what an expression does, and most strings have none of them.
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        if any(hint in text for hint in _SHAPE_HINTS):
            text = _SHAPES.sub(HIDDEN, text)
        if "=" in text or ":" in text or " " in text:
            text = _NAMED.sub(rf"\g<1>{HIDDEN}", text)
            text = _IN_URLS.sub(rf"\g<1>{HIDDEN}", text) if "://" in text else text
        return text


def secrets_of(settings: Settings, environment: Mapping[str, str]) -> frozenset[str]:
    """What must not be shown of these settings and variables: keys, and passwords in addresses."""
    return frozenset(_of_settings(settings)) | frozenset(_of_environment(environment))


def _of_settings(settings: Settings) -> Iterator[str]:
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # Master keys are a list of names and keys.
            yield from (secret, *(part.partition(":")[2] for part in secret.split(",")))
        elif isinstance(value, str) and "://" in value:
            yield from _of_address(value)
    # Whoever knows these addresses can post to them.
    for address in (settings.notify_slack, settings.notify_webhook):
        if address:
            yield address
            yield urlsplit(address).path


def _of_address(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password
    except ValueError:  # no address that could be split, so none with a password that works
        return
    if password:
        yield from (password, unquote(password))


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _is_secret(name):
            yield value


# Names are few, and every line has the same ones.
@lru_cache(maxsize=2048)
def _is_secret(name: str) -> bool:
    return any(
        _SECRET_KEY.fullmatch(words[-2]) if words[-1] in ("key", "keys") and words[1:] else _SECRET.fullmatch(words[-1])
        for words in _words(name)
    )


@lru_cache(maxsize=2048)
def _is_text(name: str) -> bool:
    return any(_TEXT.fullmatch(words[-1]) for words in _words(name))


def _words(name: str) -> list[list[str]]:
    """`answer.unit_price` as its parts, each as its words."""
    return [_WORDS.split(part) for part in name.lower().split(".")]
