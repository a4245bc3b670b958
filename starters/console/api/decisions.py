"""What somebody may ask of an approval: one shape for each kind of act, so that what it needs is known beforehand."""

from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engross.contracts import ActKind
from starters.approvals_signing import MOST_NOTE, Said

_MOST_HOURS = 4320

Shown = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="`shown` of the approval that you looked at: the decision counts for exactly that content",
    ),
]
Reason = Annotated[str, Field(min_length=1, max_length=MOST_NOTE, description="In your words; not blank")]
To = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9._@+-]{0,126}$", description="The name of a person or of a group"),
]
Hours = Annotated[float, Field(strict=True, gt=0, le=_MOST_HOURS, allow_inf_nan=False)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def said(self, source: str, address: str) -> Said:
        """What is said besides the kind, by a client at `address`."""
        return cast("Said", self.model_dump(exclude={"kind"}) | {"source": source, "address": address})


class Approve(_Asked):
    """Approve what is shown."""

    kind: Literal[ActKind.APPROVE]
    shown: Shown


class Reject(_Asked):
    """Turn it down: the run ends as `rejected`."""

    kind: Literal[ActKind.REJECT]
    shown: Shown
    reason: Reason


class Feedback(_Asked):
    """Have the model try again with this feedback; only where `can_ask_again`."""

    kind: Literal[ActKind.FEEDBACK]
    shown: Shown
    reason: Reason


class Correct(_Asked):
    """Put another answer in the place of the proposed one, and approve that; others may have to approve it too."""

    kind: Literal[ActKind.CORRECT]
    shown: Shown
    value: JsonValue = Field(description="The whole corrected answer; `/jobs` has its schema")
    reason: str = Field("", max_length=MOST_NOTE, description="In your words")


class Claim(_Asked):
    """Tell others that you are at it."""

    kind: Literal[ActKind.CLAIM]


class Release(_Asked):
    """You are not at it any more."""

    kind: Literal[ActKind.RELEASE]


class Delegate(_Asked):
    """Have somebody else decide."""

    kind: Literal[ActKind.DELEGATE]
    to: To


class Extend(_Asked):
    """Give it more time; for operators and approvers, as the job allows."""

    kind: Literal[ActKind.EXTEND]
    hours: Hours


Decision = Annotated[
    Approve | Reject | Feedback | Correct | Claim | Release | Delegate | Extend, Field(discriminator="kind")
]
