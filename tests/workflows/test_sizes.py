"""Histories of a very long document: each of the family stays small, however long the document."""

from hashlib import sha256

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import SEGMENT_CHUNKS, AskRequest, BlobRef, Chunk, ModelRef, Outcome, Reply
from tests.workflows.fakes import TENANT, answered
from tests.workflows.harness import events, run
from tests.workflows.map_reductions import document

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHUNKS = 500
MOST_EVENTS, MOST_BYTES = 2_000, 2_000_000


def hashed(ref: BlobRef) -> BlobRef:
    return BlobRef(
        tenant=TENANT, sha256=sha256(ref.sha256.encode()).hexdigest(), size=2048, media_type="application/json"
    )


def real(request: AskRequest) -> Reply:
    """A reply as large as those of a provider: a hash, a latency, the model's full name."""
    given = answered(request)
    assert given.answer is not None
    update = {
        "answer": hashed(given.answer),
        "model": "gpt-4.1-mini-2025-04-14",
        "asked": ModelRef(provider="openai", model="gpt-4.1-mini"),
        "finish_reason": "stop",
        "latency_ms": 12_345,
        "answer_tokens": 512,
        "notices": ("answered by gpt-4.1-mini-2025-04-14, not by gpt-4.1-mini",),
    }
    return given.model_copy(update=update)


def named(chunk: Chunk) -> Chunk:
    return chunk.model_copy(update={"sha256": sha256(chunk.sha256.encode()).hexdigest(), "size": 16_000})


async def test_a_document_of_500_chunks(server: WorkflowEnvironment, request: pytest.FixtureRequest) -> None:
    fakes = document(CHUNKS, real, at_once=32, budget_usd=None)
    fakes.chunks = tuple(map(named, fakes.chunks))
    fakes.steps = [
        step.model_copy(
            update={
                "prompt": hashed(step.prompt),
                "prompt_version": "0123456789ab",
                "schema_version": "0123456789ab",
                "route": (ModelRef(provider="openai", model="gpt-4.1-mini"),),
            }
        )
        for step in fakes.steps
    ]
    result = await run(server.client, fakes, run_id="long", kind="map_reduce")
    assert (result.outcome, result.calls) == (Outcome.DONE, CHUNKS + 7 * 9 + 8 + 1)
    family = ["long", *(f"long-chunks-{first}" for first in range(1, CHUNKS + 1, SEGMENT_CHUNKS))]
    counts, sizes = [], []
    for run_id in family:
        history = await events(server.client, run_id)
        counts.append(len(history))
        sizes.append(sum(len(event.SerializeToString()) for event in history))
    told = f"events {counts}, {sum(counts)} in all; bytes {sizes}, {sum(sizes)} in all"
    request.node.user_properties.append(("figures", told))
    assert (len(family), max(counts) < MOST_EVENTS, max(sizes) < MOST_BYTES) == (9, True, True), told
