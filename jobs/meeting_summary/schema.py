"""What a meeting came to: a summary and its points. One schema for a part of a meeting and for the whole of it."""

from pydantic import BaseModel, Field

from engross.fields import Sources


class Point(BaseModel):
    """One thing that was said, proposed, decided or left open."""

    text: str = Field(
        min_length=1,
        max_length=400,
        description="The point in one sentence that can be understood alone: who said or did what.",
    )
    sources: Sources


class Summary(BaseModel):
    """A meeting, or a part of one, in short."""

    summary: str = Field(
        min_length=1,
        max_length=2000,
        description="Summary of what the meeting was about and what came of it: three to six sentences.",
    )
    # Bounded, so that answers don't grow from level to level.
    points: list[Point] = Field(
        max_length=12,
        description="The most important points, at most 12, in the order of the meeting, none of them twice.",
    )
