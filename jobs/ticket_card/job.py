"""Messages about a card or an identity check: what is wanted, how urgent it is, what to do next."""

from engross import Chain, Job, Step

from .schema import CardTicket

JOB = Job(
    description="Reads a message about a card or an identity check, and proposes the next step",
    pattern=Chain(Step("read", output=CardTicket, max_output_tokens=768)),
)
