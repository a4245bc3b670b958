"""A step: one durable model call of a job."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydantic import BaseModel

from engross.contracts import ModelRef
from engross.routes import Tier, parse_route

_VERSION_DIGITS: Final = 12


@dataclass(frozen=True)
class Step:
    """One durable model call: one prompt file (`prompts/<name>.md`) and one output schema.

    `max_output_tokens` caps the reply; `repairs` is how often an invalid answer may be sent back to the model with its
    validation errors (a deterministic fix comes first and is free). `tier` picks the installation's route of models;
    `route` names one outright (`"openai:gpt-4.1,anthropic:claude-sonnet-4-5"`).
    """

    name: str
    output: type[BaseModel]
    max_output_tokens: int = 4096
    temperature: float = 0.0
    repairs: int = 1
    tier: Tier = "medium"
    route: str = ""

    def models(self, routes: Mapping[Tier, tuple[ModelRef, ...]]) -> tuple[ModelRef, ...]:
        """The models to ask, first choice first, where the installation's tiers are `routes`."""
        return parse_route(self.route) if self.route else routes[self.tier]

    def schema_version(self) -> str:
        """Changes when the output schema changes."""
        return _schema_version(self.output)


@lru_cache(maxsize=512)
def _schema_version(output: type[BaseModel]) -> str:
    return version_of(json.dumps(output.model_json_schema(), sort_keys=True))


def version_of(text: str) -> str:
    """A short content hash, enough to tell versions of a prompt or schema apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]
