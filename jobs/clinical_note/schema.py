"""What a clinical note says, and what a reader who checks it says of it."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Line = Annotated[str, Field(min_length=1, max_length=400)]


class Medication(BaseModel):
    """One medicine or supplement."""

    name: str = Field(min_length=1, max_length=200, description="Name of the medicine, as it was said.")
    dose: str | None = Field(
        None, max_length=200, description="Dose, form and frequency, as they were said; null when they weren't."
    )
    status: Literal["current", "started", "changed", "stopped", "declined", "discussed"] = Field(
        description="What came of it. current: takes it already and goes on; started: prescribed today; changed: dose"
        " or form changed today; stopped: no longer takes it; declined: the patient doesn't want it; discussed: only"
        " talked about."
    )


class Note(BaseModel):
    """The note of one visit."""

    chief_complaint: str = Field(
        min_length=1,
        max_length=400,
        description="Reason for the visit, in one sentence. Often said as: here for, here to, here today, brings you"
        " in, come in, came in, come to see, follow-up, visit, since your last, how have you been, doing today.",
    )
    history_of_present_illness: str = Field(
        min_length=1,
        max_length=3000,
        description="Text of the history of the present illness: onset, course, symptoms present and denied,"
        " treatment so far.",
    )
    past_history: list[Line] = Field(
        max_length=20,
        description="Earlier diseases, operations, family and social history. Often said as: history of, surgery,"
        " surgeries, family history, smoke, smoking, alcohol, diagnosed, years ago, mother, father, mom, dad.",
    )
    medications: list[Medication] = Field(
        max_length=30,
        description="Every medicine and supplement that was talked about. Often said as: take, taking, medication,"
        " medications, medicine, prescribe, prescribed, milligrams, mg, tablet, tablets, dose, vitamin, gel, cream.",
    )
    allergies: list[Line] | None = Field(
        None,
        max_length=20,
        description="Allergies, or that there are none; null when nobody spoke of them. Often said as: allergic,"
        " allergy, allergies.",
    )
    findings: list[Line] = Field(
        max_length=20,
        description="What the doctor finds today by examination, and results of tests. Often said as: exam,"
        " examination, listen, lungs, heart, blood pressure, tender, tenderness, swelling, mass, masses, normal,"
        " x-ray, mri, results, labs, test, looks.",
    )
    assessment: list[Line] = Field(
        max_length=12,
        description="The doctor's diagnoses and judgement, one line each. Often said as: diagnosis, diagnosed,"
        " assessment, impression, consistent with, evidence of, i think you have, looks like, most likely, you have.",
    )
    plan: list[Line] = Field(
        max_length=20,
        description="What the doctor plans: treatment, tests, referrals, advice, follow-up. Often said as: plan,"
        " we'll, we will, i'm going to, i want you to, i'd like you to, i recommend, follow up, come back, continue,"
        " start, order, refer, schedule, prescribe, repeat.",
    )


class Evaluation(BaseModel):
    """What a reader who checks the note against the conversation says of it."""

    issues: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        max_length=10,
        description="What is wrong with the note, the most harmful first; each says the field and what to do. Empty"
        " when nothing is.",
    )
    score: float = Field(
        ge=0,
        le=1,
        description="Score of the note. 1: nothing missing, nothing unsupported; 0.85: only matters of style; at most"
        " 0.5: anything that could harm the patient.",
    )
