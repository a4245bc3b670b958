"""Clinical notes: a conversation between doctor and patient as the note that goes into the record.

A wrong note hurts people: a missed allergy, a wrong side, a medicine that was stopped. So every note is checked against
the conversation by a second, stronger reader, and one that doesn't reach the bar goes to a person, however many rounds
it had. The bar is high for the same reason; a note above it is still a draft for the doctor who signs it.
"""

from engross import Job, Refine, Step

from .schema import Evaluation, Note

JOB = Job(
    description="Writes the clinical note of a conversation between doctor and patient",
    pattern=Refine(
        generate=Step("note", output=Note),
        evaluate=Step("evaluate", output=Evaluation, max_output_tokens=1536, tier="high"),
        bar=0.85,
        rounds=3,
        below="approval",
    ),
)
