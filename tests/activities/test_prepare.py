"""The first step: what it freezes, what it stores, what it refuses."""

import json

import pytest

from activities.prepare import Preparation
from activities.sources import Sources
from activities.store import Storing
from engross.catalog import load_catalog
from engross.contracts import DocumentSource, Outcome, Prepared, RunRequest, RunResult, StoreRequest
from engross.errors import DocumentNotFound, EmptyDocument, UnknownJob
from engross.routes import TIERS, parse_route
from tests.activities.fakes import MemoryBlobs, MemoryResults, PlainParsers


async def prepare(data: bytes | None, job: str = "receipt") -> tuple[Prepared, MemoryBlobs]:
    """Prepares a run over an uploaded document; None means that it was never uploaded."""
    blobs = MemoryBlobs()
    sha256 = (await blobs.put("acme", data)).sha256 if data is not None else "0" * 64
    preparation = Preparation(
        catalog=load_catalog(),
        blobs=blobs,
        sources=Sources(blobs=blobs, roots=[], max_mb=1),
        parsers=PlainParsers(),
        routes=dict.fromkeys(TIERS, parse_route("openai:a,anthropic:b")),
    )
    document = DocumentSource(uri=f"blob:{sha256}", name="a.txt")
    return await preparation.prepare(RunRequest(job=job, document=document, tenant="acme")), blobs


async def test_the_plan_is_frozen_with_prompt_versions_and_models() -> None:
    prepared, blobs = await prepare(b"Corner Shop\n9.50")
    [step] = prepared.plan.steps
    assert (prepared.plan.pattern, prepared.plan.job_version) == ("chain", load_catalog().get("receipt").version())
    assert [str(model) for model in step.route] == ["openai:a", "anthropic:b"]
    assert (await blobs.get(step.prompt)).decode() == load_catalog().get("receipt").prompts["extract"]


async def test_the_text_is_stored_and_only_described() -> None:
    prepared, blobs = await prepare(b"Corner Shop\n9.50")
    assert json.loads(await blobs.get(prepared.text))["text"] == "Corner Shop\n9.50"
    assert (prepared.text.pages, prepared.text.characters) == (1, 16)
    assert "Corner" not in prepared.model_dump_json()
    assert len(prepared.model_dump_json()) < 2_000


async def test_what_cannot_be_prepared_is_named() -> None:
    with pytest.raises(UnknownJob):
        await prepare(b"x", job="reciept")
    with pytest.raises(EmptyDocument):
        await prepare(b"")
    with pytest.raises(DocumentNotFound):
        await prepare(None)


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.FAILED])
async def test_every_outcome_becomes_a_row_with_its_answer_if_any(outcome: Outcome) -> None:
    blobs, results = MemoryBlobs(), MemoryResults()
    answer = await blobs.put("acme", b'{"total": 1}') if outcome is Outcome.DONE else None
    result = RunResult(run_id="r", job="receipt", tenant="acme", outcome=outcome, answer=answer)
    request = StoreRequest(result=result, started_at="2026-01-01T00:00:00+00:00")
    await Storing(blobs=blobs, results=results).store_answer(request)
    assert results.rows == [(request, b'{"total": 1}' if answer else None)]
