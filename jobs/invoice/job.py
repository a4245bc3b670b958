"""Invoices: who bills what, when, and how much."""

from decimal import Decimal

from engross import Above, Approval, Chain, Job, Risk, Rule, Step, Trigger, Words

from .schema import Invoice

_LARGE, _HUGE = Decimal(100_000), Decimal(1_000_000)
# What fraud by invoice asks for, whatever the amount.
_NEW_BANK = ("new bank details", "changed bank details", "bank details have changed", "neue Bankverbindung")

JOB = Job(
    description="Reads the header and totals of an invoice",
    pattern=Chain(Step("extract", output=Invoice, max_output_tokens=1024)),
    approval=Approval(
        rules=(
            # Whatever the currency: a limit for each is what a job of your own would have.
            Rule(name="amount over 1,000,000", when=Above(field="amount", limit=_HUGE), risk=Risk.CRITICAL),
            Rule(name="amount over 100,000", when=Above(field="amount", limit=_LARGE), risk=Risk.HIGH),
        ),
        triggers=(Trigger(name="a change of bank details", when=Words(words=_NEW_BANK)),),
        escalate_to="seniors",
        escalate_hours=48,
    ),
)
