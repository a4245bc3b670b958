"""A report of many sections: each is read by itself, then what was read is put together."""

from engross import Job, MapReduce, Step

from .schema import Slip

# A section is a page of about 365 tokens, so that no chunk holds two.
JOB = Job(
    description="Reads a long report of the benchmark",
    pattern=MapReduce(
        map=Step("map", output=Slip, max_output_tokens=256),
        reduce=Step("reduce", output=Slip, max_output_tokens=256),
        chunk_tokens=420,
        overlap_tokens=0,
        at_once=16,
        fan_in=8,
    ),
)
