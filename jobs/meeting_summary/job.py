"""Meeting summaries: what was said, with the stretches of the transcript that each point comes from.

Map and reduce share one schema: a short meeting is read in one call, and the answers of a long one look the same at
every level. `partial`: when a stretch gives no answer (a refusal, say), the summary of the rest is worth having, and
the ledger names what is missing from it. A job whose readers need every page, one over contracts, would leave it off.
"""

from engross import Job, MapReduce, Step

from .schema import Summary

JOB = Job(
    description="Summarises a meeting's transcript, each point with its sources",
    pattern=MapReduce(
        map=Step("map", output=Summary, max_output_tokens=2048),
        reduce=Step("reduce", output=Summary, max_output_tokens=2048),
        chunk_tokens=3000,
        overlap_tokens=150,
        partial=True,
    ),
)
