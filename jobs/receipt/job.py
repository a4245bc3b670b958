"""Till receipts: where, when, how much."""

from engross import Chain, Job, Step

from .schema import Receipt

JOB = Job(
    description="Reads shop, date, address and total of a receipt",
    pattern=Chain(Step("extract", output=Receipt, max_output_tokens=512)),
)
