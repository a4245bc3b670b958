"""Customers' messages to a bank: told apart, then read by the job for their kind.

No fallback: a message about a stolen card that is taken for one about fees costs money by the hour, and a person tells
the two apart in seconds. So what is unclear, or fits no label, goes to a person, not to the likeliest job.
"""

from engross import Job, Router, Step

from .schema import Ticket

JOB = Job(
    description="Tells a customer's message by its subject, and has it read by the job for that",
    pattern=Router(
        classify=Step("classify", output=Ticket, max_output_tokens=256, tier="low"),
        routes={
            "card_arrival": "ticket_card",
            "lost_or_stolen_card": "ticket_card",
            "verify_my_identity": "ticket_card",
            "request_refund": "ticket_money",
            "exchange_rate": "ticket_money",
            "transfer_timing": "ticket_money",
        },
        fallback=None,
        bar=0.7,
    ),
)
