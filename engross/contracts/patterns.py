"""What a pattern's workflow needs to know beside its steps, as frozen for one run."""

from typing import Annotated, Literal

from pydantic import Field

from engross.contracts.references import Contract

Share = Annotated[float, Field(ge=0, le=1)]


class MapReduceOptions(Contract):
    """How a document is split and put together again. Tokens are those of o200k_base.

    Chunks have `chunk_tokens` at most, of which `overlap_tokens` repeat the end of the chunk before. `at_once` calls
    are in flight. A reduce call reads up to `fan_in` answers, fewer when these have more than `reduce_tokens` together.
    `partial` allows an answer without the chunks that gave none.
    """

    kind: Literal["map_reduce"] = "map_reduce"
    chunk_tokens: int = Field(default=4000, ge=16, le=1_000_000)
    overlap_tokens: int = Field(default=200, ge=0)
    at_once: int = Field(default=16, ge=1, le=256)
    fan_in: int = Field(default=8, ge=2, le=100)
    reduce_tokens: int = Field(default=16_000, ge=16)
    partial: bool = False


class FanOutOptions(Contract):
    """`partial` allows a synthesis without the perspectives that gave no answer."""

    kind: Literal["fan_out"] = "fan_out"
    partial: bool = False


class Route(Contract):
    """Where a label leads: a job, and the workflow type of its pattern."""

    label: str
    job: str
    pattern: str = ""


class RouterOptions(Contract):
    """A label with a confidence of at least `bar` leads to the job of its route, all others to `fallback`.

    `fallback` None sends what is unclear to a person.
    """

    kind: Literal["router"] = "router"
    routes: tuple[Route, ...]
    fallback: Route | None = None
    bar: Share = 0.7


class RefineOptions(Contract):
    """At most `rounds` attempts, until one scores `bar`. One `below` it is flagged, or goes to a person."""

    kind: Literal["refine"] = "refine"
    bar: Share = 0.8
    rounds: int = Field(default=3, ge=1, le=20)
    below: Literal["flag", "approval"] = "flag"


Options = Annotated[MapReduceOptions | FanOutOptions | RouterOptions | RefineOptions, Field(discriminator="kind")]
