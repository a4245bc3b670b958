"""What a till receipt says, and what must hold for it to be believed."""

import datetime

from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from engross.fields import Money

_EARLIEST_YEAR = 1970


class Receipt(BaseModel):
    """The head and the total of one receipt."""

    company: str = Field(
        min_length=1,
        max_length=200,
        description="Name of the shop or company that issued the receipt, as printed at its head.",
    )
    date: datetime.date = Field(
        description="Day of the purchase, as YYYY-MM-DD. Labelled: Date, Invoice date, Bill date, Datum, Fecha."
    )
    address: str | None = Field(
        None,
        max_length=400,
        description="Address of the shop on one line, as printed below its name; null when the receipt gives none.",
    )
    total: Money = Field(
        description="Total paid or to pay, after rounding, taxes included. Labelled: Grand total, Total, Rounded total,"
        " Total sales, Net total, Amount due, Total amount, Gesamtbetrag, Summe."
    )

    @field_validator("date")
    @classmethod
    def _in_living_memory(cls, value: datetime.date) -> datetime.date:
        if value.year < _EARLIEST_YEAR:
            raise PydanticCustomError("date_plausible", "date must not be before 1970")
        return value

    @field_validator("total")
    @classmethod
    def _not_negative(cls, value: Money) -> Money:
        if value < 0:
            raise PydanticCustomError("total_not_negative", "total must not be negative")
        return value
