"""What a page holds."""

from pydantic import BaseModel, Field


class Slip(BaseModel):
    """The head of one page."""

    reference: str = Field(description="As printed at the head. Labelled: Reference.")
    total: float = Field(description="The amount to pay. Labelled: Total.")
