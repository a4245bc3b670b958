"""Messages about refunds, exchange rates and transfers: what is wanted, about which money, what to do next."""

from engross import Chain, Job, Step

from .schema import MoneyTicket

JOB = Job(
    description="Reads a message about a refund, an exchange rate or a transfer, and proposes the next step",
    pattern=Chain(Step("read", output=MoneyTicket, max_output_tokens=768)),
)
