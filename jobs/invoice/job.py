"""Invoices: who bills what, when, and how much."""

from engross import Chain, Job, Step

from .schema import Invoice

JOB = Job(
    description="Reads the header and totals of an invoice",
    pattern=Chain(Step("extract", output=Invoice, max_output_tokens=1024)),
)
