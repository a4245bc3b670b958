"""What a brief on a meeting says: four lists, each found by a step of its own, and the page that is made of them."""

from typing import Annotated

from pydantic import BaseModel, Field

_MOST_ITEMS = 12

Text = Annotated[str, Field(min_length=1, max_length=300)]
Person = Annotated[str, Field(max_length=100)]


class Decision(BaseModel):
    """One thing that was settled."""

    text: Text = Field(description="What was decided, in one sentence that can be understood alone.")
    decided_by: Person | None = Field(
        None, description="Speaker who settled it, as the transcript names them; null when it isn't clear."
    )


class Action(BaseModel):
    """One thing that somebody has to do after the meeting."""

    task: Text = Field(description="What is to be done, in one sentence that can be understood alone.")
    owner: Person | None = Field(
        None, description="Person who does it, as the transcript names them; null when nobody was named."
    )
    due: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="When it is due, as it was said ('next Friday'); null when nothing was said."
    )


class Risk(BaseModel):
    """One thing that may go wrong."""

    text: Text = Field(description="What may go wrong, in one sentence that can be understood alone.")
    raised_by: Person | None = Field(
        None, description="Speaker who raised it, as the transcript names them; null when it isn't clear."
    )


class Question(BaseModel):
    """One question that the meeting left open."""

    text: Text = Field(description="The question, in one sentence that can be understood alone.")
    asked_by: Person | None = Field(
        None, description="Speaker who asked it, as the transcript names them; null when it isn't clear."
    )


class Decisions(BaseModel):
    """What the meeting decided."""

    decisions: list[Decision] = Field(
        max_length=_MOST_ITEMS,
        description="Everything that was decided, agreed or laid down as given. Often said as: we decided, we agreed,"
        " it's agreed, let's go with, we will, we'll, has to be, must be, we're going to.",
    )


class Actions(BaseModel):
    """What has to be done after the meeting."""

    actions: list[Action] = Field(
        max_length=_MOST_ITEMS,
        description="Tasks that somebody took or was given. Often said as: I'll, I will, you'll, you have to, can you,"
        " could you, please, by next, needs to, take care of, before the next meeting.",
    )


class Risks(BaseModel):
    """What may go wrong."""

    risks: list[Risk] = Field(
        max_length=_MOST_ITEMS,
        description="Risks, doubts, constraints and objections that were voiced. Often said as: the problem is, risk,"
        " worried, too expensive, too much, difficult, not easy, won't work, will break, can't, not sure, concern.",
    )


class Questions(BaseModel):
    """What was left open."""

    questions: list[Question] = Field(
        max_length=_MOST_ITEMS, description="Questions that were asked and not answered by the end of the meeting."
    )


class Brief(BaseModel):
    """The meeting on one page."""

    overview: str = Field(
        min_length=1,
        max_length=1200,
        description="Overview of what the meeting settled and what it left open: two to five sentences.",
    )
    decisions: list[Decision] = Field(max_length=_MOST_ITEMS, description="The decisions, each once.")
    actions: list[Action] = Field(max_length=_MOST_ITEMS, description="The tasks, each once.")
    risks: list[Risk] = Field(max_length=_MOST_ITEMS, description="The risks, each once.")
    questions: list[Question] = Field(max_length=_MOST_ITEMS, description="The open questions, each once.")
