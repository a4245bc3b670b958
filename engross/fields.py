"""Field types that job schemas share: exact money, ISO currencies."""

from decimal import Decimal
from functools import cache
from typing import Annotated

from babel import Locale
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError


@cache
def _currencies() -> frozenset[str]:
    return frozenset(Locale("en").currencies)


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _iso_4217(value: str) -> str:
    if value not in _currencies():
        raise PydanticCustomError("iso_4217", "must be an ISO 4217 currency code such as EUR, USD or INR")
    return value


# Decimal inside, a plain JSON number outside: 15 digits survive a double exactly.
Money = Annotated[
    Decimal,
    Field(max_digits=15, decimal_places=4),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number"}),
]

CurrencyCode = Annotated[
    str,
    BeforeValidator(_upper),
    AfterValidator(_iso_4217),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]

# The numbers of the chunks that a value comes from. Code fills them in where a chunk is read, and checks them wherever
# answers are put together; the ledger says which pages and characters these chunks are.
Sources = Annotated[
    list[int],
    Field(
        min_length=1,
        description="Numbers of the parts that this comes from: copy the sources of everything that it is made of.",
    ),
]
