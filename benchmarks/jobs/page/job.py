"""One page, one model call."""

from engross import Chain, Job, Step

from .schema import Slip

JOB = Job(description="Reads a page of the benchmark", pattern=Chain(Step("read", output=Slip, max_output_tokens=256)))
