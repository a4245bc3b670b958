"""What a customer's message is about."""

from typing import Literal

from pydantic import BaseModel, Field


class Ticket(BaseModel):
    """The subject of one message."""

    reason: str = Field(
        max_length=300, description="Reason for the label in one sentence: what the customer asks for or reports."
    )
    label: Literal[
        "card_arrival",
        "lost_or_stolen_card",
        "request_refund",
        "exchange_rate",
        "verify_my_identity",
        "transfer_timing",
    ] = Field(
        description="What the message is about. card_arrival: a card that was ordered or sent and is awaited: its"
        " delivery, post, mail, tracking, delay; lost_or_stolen_card: a card that the customer had and lost or misses,"
        " theft, wallet or purse gone; request_refund: wants money back for a purchase, order or product, or to cancel"
        " it; exchange_rate: currencies, foreign money, travel abroad, and the rates of conversion;"
        " verify_my_identity: proof of who the customer is, documents, passport, identification, verification checks;"
        " transfer_timing: how long money takes when it is sent to or from an account, transfers that are pending."
    )
    confidence: float = Field(
        ge=0,
        le=1,
        description="Probability that a person would choose the same label; below 0.5 when the message fits none of"
        " the labels, or several equally well.",
    )
