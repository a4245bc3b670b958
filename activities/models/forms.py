"""Requests as instructor builds them: once for each output and mode, then filled in for each call."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import instructor
from instructor.core import InstructorRetryException
from pydantic import BaseModel

# instructor logs what comes of each call that it starts.
logging.getLogger("instructor").setLevel(logging.CRITICAL + 1)

# More than the steps of all jobs of an installation, in all the modes that its servers understand.
_MOST_FORMS: Final = 512


class Texts(Protocol):
    """The two messages of a call."""

    @property
    def system(self) -> str: ...

    @property
    def user(self) -> str: ...


@dataclass(frozen=True)
class Form:
    """A request without model and limits. The marks, which nobody else knows, stand where the messages go."""

    fixed: Mapping[str, Any]
    open: Mapping[str, Any]
    system_mark: str
    user_mark: str

    def filled(self, texts: Texts) -> dict[str, Any]:
        """The request with these messages. What does not change is shared by all: not to be written to."""

        def fill(value: Any) -> Any:
            if isinstance(value, str):
                return value.replace(self.system_mark, texts.system).replace(self.user_mark, texts.user)
            if isinstance(value, dict):
                return {key: fill(part) for key, part in value.items()}
            return [fill(part) for part in value] if isinstance(value, list) else value

        return {**self.fixed, **{key: fill(value) for key, value in self.open.items()}}


@lru_cache(maxsize=_MOST_FORMS)
def openai_form(output: type[BaseModel], mode: instructor.Mode) -> Form:
    """What a chat completion asks for `output` with."""
    system, user = _marks()
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return _form(_built(output, mode, instructor.Provider.OPENAI, messages=messages), system, user)


@lru_cache(maxsize=_MOST_FORMS)
def anthropic_form(output: type[BaseModel]) -> Form:
    """What a message asks for `output` with, as a tool."""
    system, user = _marks()
    messages = [{"role": "user", "content": user}]
    built = _built(output, instructor.Mode.TOOLS, instructor.Provider.ANTHROPIC, system=system, messages=messages)
    return _form(built, system, user)


def _marks() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(16)


def _form(built: Mapping[str, Any], system: str, user: str) -> Form:
    with_marks = {key for key, value in built.items() if system in str(value) or user in str(value)}
    return Form(
        fixed={key: value for key, value in built.items() if key not in with_marks},
        open={key: value for key, value in built.items() if key in with_marks},
        system_mark=system,
        user_mark=user,
    )


class _Built(Exception):
    """Ends instructor's call when its request is there: it is not the one that sends it."""


def _built(
    output: type[BaseModel], mode: instructor.Mode, provider: instructor.Provider, **messages: Any
) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def create(**request: Any) -> None:
        seen.append(request)
        raise _Built

    build = instructor.patch(create=create, mode=mode, provider=provider)
    try:
        build(response_model=output, max_retries=0, **messages)
    except InstructorRetryException:  # how it passes on what `create` raises
        if not seen:
            raise
    return seen[0]
