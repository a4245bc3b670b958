"""What a section, or several of them together, hold."""

from pydantic import BaseModel, Field


class Slip(BaseModel):
    """The head of a section, or of the first of several."""

    reference: str = Field(description="As printed at the head. Labelled: Reference.")
    total: float = Field(description="The amount to pay. Labelled: Total.")
