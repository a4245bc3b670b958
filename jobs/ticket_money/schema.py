"""What a message about money says, and what to do about it."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from engross.fields import CurrencyCode, Money


class MoneyTicket(BaseModel):
    """One message about a refund, an exchange rate or a transfer."""

    request: str = Field(
        min_length=1, max_length=300, description="Summary of what the customer wants or reports, in one sentence."
    )
    next_step: Literal["ask_customer", "open_refund", "trace_transfer", "explain_rates"] = Field(
        description="What to do next. ask_customer: too little is said, or something else; open_refund: wants money"
        " back for a purchase, order or product, or to cancel it; trace_transfer: money sent to or from an account has"
        " not arrived, or the customer asks how long a transfer takes; explain_rates: currencies, exchange rates,"
        " travel abroad."
    )
    urgency: Literal["normal", "high"] = Field(
        description="How soon somebody must act. normal: a question or a request that can wait for a working day;"
        " high: the customer says that it is urgent, or that something is missing now."
    )
    amount: Money | None = Field(
        None, description="Amount of money that it is about; null when none is said. Labelled: amount, paid, sent."
    )
    currency: CurrencyCode | None = Field(
        None, description="Currency of the amount, as an ISO 4217 code such as EUR; null when none is said."
    )
    reply: str = Field(
        max_length=800,
        description="Text of a reply to the customer that a colleague will look over; empty when there is nothing to"
        " go by.",
    )

    @field_validator("amount")
    @classmethod
    def _not_negative(cls, value: Money | None) -> Money | None:
        if value is not None and value < 0:
            raise PydanticCustomError("amount_not_negative", "amount must not be negative")
        return value
