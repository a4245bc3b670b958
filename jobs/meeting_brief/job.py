"""Meeting briefs: decisions, actions, risks and open questions, each looked for on its own, then put on one page.

Not `partial`: a brief that lost a perspective reads as if the meeting had set no tasks or seen no risks.
"""

from engross import FanOut, Job, Step

from .schema import Actions, Brief, Decisions, Questions, Risks

JOB = Job(
    description="Briefs on a meeting: decisions, actions, risks, open questions",
    pattern=FanOut(
        perspectives=(
            Step("decisions", output=Decisions, max_output_tokens=1536),
            Step("actions", output=Actions, max_output_tokens=1536),
            Step("risks", output=Risks, max_output_tokens=1536),
            Step("questions", output=Questions, max_output_tokens=1536),
        ),
        synthesis=Step("brief", output=Brief),
    ),
)
