"""Routes: ordered lists of models, by hand or by tier."""

from typing import Final, Literal

from engross.contracts import ModelRef
from engross.names import PROVIDERS

Tier = Literal["low", "medium", "high"]
TIERS: Final[tuple[Tier, ...]] = ("low", "medium", "high")


def parse_route(text: str) -> tuple[ModelRef, ...]:
    """`openai:gpt-4.1-mini,anthropic:claude-haiku-4-5` as models; ValueError with the expected form otherwise."""
    route = []
    for part in text.split(","):
        provider, _, model = part.strip().partition(":")
        if not model or provider not in PROVIDERS:
            forms = " or ".join(f"{name}:<model>" for name in PROVIDERS)
            raise ValueError(f"write it as {forms}, or several with commas between")
        route.append(ModelRef(provider=provider, model=model))
    return tuple(route)
