"""Pictures of pages and where texts stand on them, as a parser process gives them."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

MAX_WIDTH: Final = 2_000
"""Of a picture, in pixels."""

PNG_MARK: Final = b"\x89PNG\r\n\x1a\n"

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Points = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Rectangle(BaseModel):
    """On a page as it is seen: fractions of its width and height, from its upper left corner."""

    model_config = ConfigDict(frozen=True)

    left: Fraction
    top: Fraction
    width: Fraction
    height: Fraction


class Places(BaseModel):
    """Width and height of a page in points; for each text asked for, a rectangle for each line of each place."""

    model_config = ConfigDict(frozen=True)

    width: Points
    height: Points
    rectangles: tuple[tuple[Rectangle, ...], ...]
