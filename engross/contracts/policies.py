"""When people must look at an answer, and which: the policy that a job declares, as frozen for one run."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from engross.contracts.patterns import Share
from engross.contracts.references import Contract

APPROVERS: Final = "approvers"
"""The group of everybody who may approve for a tenant."""


class Risk(StrEnum):
    """How much harm a wrong answer could do: it says how many people look at it, and whether a senior."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def approvers(self) -> int:
        """How many people must approve."""
        return {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2, Risk.CRITICAL: 2}[self]

    @property
    def needs_senior(self) -> bool:
        """Whether one of them must be a senior."""
        return self is Risk.CRITICAL

    def raised(self, levels: int = 1) -> "Risk":
        """So many levels up; critical is the top."""
        order = list(Risk)
        return order[min(order.index(self) + levels, len(order) - 1)]


class Above(Contract):
    """The number in `field` (a dotted path into the answer; an item of a list by its index) is over `limit`.

    What is null or missing is not over anything: see `Missing`.
    """

    kind: Literal["above"] = "above"
    field: str
    limit: Decimal


class Missing(Contract):
    """`field` is null, empty or not there."""

    kind: Literal["missing"] = "missing"
    field: str


class OneOf(Contract):
    """The text in `field` is one of `values`, upper and lower case alike."""

    kind: Literal["one_of"] = "one_of"
    field: str
    values: tuple[str, ...]


class Words(Contract):
    """The document has one of these words or phrases, upper and lower case alike, whole words only."""

    kind: Literal["words"] = "words"
    words: tuple[str, ...] = Field(min_length=1)


class Longer(Contract):
    """The answer, as JSON, has more than so many characters."""

    kind: Literal["longer"] = "longer"
    characters: int = Field(ge=1)


class AllOf(Contract):
    """Every one of `conditions` holds."""

    kind: Literal["all_of"] = "all_of"
    conditions: tuple["Condition", ...] = Field(min_length=1)


class AnyOf(Contract):
    """At least one of `conditions` holds."""

    kind: Literal["any_of"] = "any_of"
    conditions: tuple["Condition", ...] = Field(min_length=1)


class Not(Contract):
    """`condition` does not hold."""

    kind: Literal["not"] = "not"
    condition: "Condition"


Condition = Annotated[
    Above | Missing | OneOf | Words | Longer | AllOf | AnyOf | Not,
    Field(discriminator="kind"),
]


class Rule(Contract):
    """Where `when` holds, the risk is `risk`. `name` says why to the people who are asked."""

    name: str
    when: Condition
    risk: Risk


class Trigger(Contract):
    """Where `when` holds, the risk is `levels` higher than the rules say. `name` says why."""

    name: str
    when: Condition
    levels: int = Field(default=1, ge=1, le=3)


class Confidence(Contract):
    """How sure an answer is of itself: the number in `field`, 0 to 1.

    From `passes` on it adds nothing to the risk; below `stops` the answer is rejected without asking anybody; between
    the two, and where the answer doesn't say, at least one person looks, the least sure first.
    """

    field: str = "confidence"
    passes: Share = 0.9
    stops: Share = 0.0


class Approval(Contract):
    """Who decides on an answer before it becomes the official copy. The job declares it; times are in hours.

    Risk: the first of `rules` that holds, else `otherwise`; `otherwise` None asks the job's `assess` step. `triggers`
    raise it. `group` is asked. Reminders come every `remind_hours`. After `escalate_hours`, or when time is up and
    `on_expiry` says so, `escalate_to` is asked as well, and gets `deadline_hours` of its own. What nobody has decided
    by then is rejected, never approved. People may ask the model `rounds` times to try again. `bulk` lets them approve
    many at once without opening each. `tells_values` allows values of the answer in notices.
    """

    rules: tuple[Rule, ...] = ()
    otherwise: Risk | None = Risk.LOW
    triggers: tuple[Trigger, ...] = ()
    confidence: Confidence | None = None
    group: str = APPROVERS
    deadline_hours: float = Field(default=72, gt=0, le=24 * 60)
    remind_hours: float = Field(default=24, gt=0, le=24 * 60)
    escalate_to: str = ""
    escalate_hours: float | None = Field(default=None, gt=0, le=24 * 60)
    on_expiry: Literal["reject", "escalate"] = "reject"
    rounds: int = Field(default=5, ge=0, le=50)
    bulk: bool = False
    tells_values: bool = False
