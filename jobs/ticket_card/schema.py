"""What a message about a card or an identity check says, and what to do about it."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError


class CardTicket(BaseModel):
    """One message about a card or an identity check."""

    request: str = Field(
        min_length=1, max_length=300, description="Summary of what the customer wants or reports, in one sentence."
    )
    next_step: Literal["ask_customer", "block_card", "trace_delivery", "guide_verification"] = Field(
        description="What to do next. ask_customer: too little is said, or something else; block_card: a card is lost,"
        " missing or stolen, or used by somebody else, or is to be blocked; trace_delivery: a card was sent and has not"
        " arrived, delivery, tracking, mail; guide_verification: proof of identity, documents, verification checks."
    )
    urgency: Literal["normal", "high"] = Field(
        description="How soon somebody must act. normal: everything else than what is high; high: a card is lost,"
        " missing or stolen, or used by somebody else, or is to be blocked."
    )
    since: str | None = Field(
        None, max_length=100, description="Since when, as the customer says it; null when nothing is said."
    )
    reply: str = Field(
        max_length=800,
        description="Text of a reply to the customer that a colleague will look over; empty when there is nothing to"
        " go by.",
    )

    @model_validator(mode="after")
    def _blocking_is_urgent(self) -> Self:
        if self.next_step == "block_card" and self.urgency != "high":
            raise PydanticCustomError("blocking_is_urgent", "urgency must be high when the next step is block_card")
        return self
