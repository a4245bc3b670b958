"""A report of many sections: each is read by itself, then what was read is put together."""

from engross import Chain, Job, Step

from .schema import Slip

# As a chain it only holds the prompts and schemas of its two steps, which raw uses. Engross doesn't run it yet.
JOB = Job(
    description="Reads a long report of the benchmark",
    pattern=Chain(
        Step("map", output=Slip, max_output_tokens=256),
        Step("reduce", output=Slip, max_output_tokens=256),
    ),
)
