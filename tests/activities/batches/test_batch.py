"""The activities of batches: what a group gets of its rows, and what is stored of them."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from activities.batches import listing
from activities.batches.batch import Batches
from activities.batches.listing import read_rows, write_listing
from activities.documents.canonical import CanonicalText
from activities.prepare import Preparation
from activities.sources import Sources
from engross.catalog import load_catalog
from engross.contracts import (
    BatchPlan,
    BatchRequest,
    BatchRow,
    BlobRef,
    DocumentSource,
    ErrorInfo,
    GroupRowsRequest,
    Ledger,
    LedgerEntry,
    Outcome,
    PartState,
    PreparedRow,
    RowOutcome,
    RunResult,
    StoreGroupRequest,
    StoreRequest,
)
from engross.errors import (
    CorruptDocument,
    DocumentNotFound,
    EmptyBatch,
    ExtractionCrashed,
    ServiceUnavailable,
    UnknownJob,
)
from engross.names import workflow_id
from engross.routes import TIERS, parse_route
from tests.activities.fakes import MemoryBlobs, MemoryResults, PlainParsers

TENANT = "acme"


class Blobs(MemoryBlobs):
    """Says what is missing as the real one does, and can be away for one blob."""

    away: str = ""
    reads: int = 0

    async def get(self, ref: BlobRef) -> bytes:
        self.reads += 1
        if ref.sha256 == self.away:
            raise ServiceUnavailable("the blob store does not answer")
        if (ref.tenant, ref.sha256) not in self.data:
            raise DocumentNotFound("blob is not in the blob store")
        return await super().get(ref)


class Parsers(PlainParsers):
    """Dies of some documents, and refuses others."""

    async def extract(self, data: bytes, name: str) -> CanonicalText:
        if data == b"crash":
            raise ExtractionCrashed("the parser died")
        if data == b"corrupt":
            raise CorruptDocument("damaged")
        return await super().extract(data, name)


@dataclass
class Rig:
    """The activities with fakes around them."""

    roots: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs, self.results = Blobs(), MemoryResults()
        sources = Sources(blobs=self.blobs, roots=self.roots, max_mb=1)
        catalog = load_catalog()
        preparation = Preparation(
            catalog=catalog,
            blobs=self.blobs,
            sources=sources,
            parsers=Parsers(),
            routes=dict.fromkeys(TIERS, parse_route("openai:a,anthropic:b")),
        )
        self.batches = Batches(
            catalog=catalog, blobs=self.blobs, sources=sources, preparation=preparation, results=self.results
        )

    async def plan(self, *lines: dict[str, object] | str, job: str = "receipt") -> BatchPlan:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        manifest = await self.blobs.put(TENANT, text.encode())
        source = DocumentSource(uri=f"blob:{manifest.sha256}")
        return await self.batches.plan_batch(BatchRequest(job=job, manifest=source, tenant=TENANT))

    async def uploaded(self, *documents: bytes) -> list[dict[str, object]]:
        return [{"uri": f"blob:{(await self.blobs.put(TENANT, data)).sha256}", "name": "a.txt"} for data in documents]

    async def prepared(self, plan: BatchPlan, *, reads: bool = True) -> tuple[PreparedRow, ...]:
        request = GroupRowsRequest(
            batch_id="b",
            job="receipt",
            tenant=TENANT,
            job_version="v",
            route="openai:a:anthropic:b",
            listing=plan.listing,
            first=1,
            last=plan.count,
            reads=reads,
        )
        return (await self.batches.prepare_group(request)).rows


async def test_the_plan_is_that_of_a_single_run() -> None:
    rig = Rig()
    plan = await rig.plan(*await rig.uploaded(b"one", b"two"))
    assert (plan.count, plan.plan.pattern, plan.plan.job_version) == (
        2,
        "chain",
        load_catalog().get("receipt").version(),
    )
    assert [str(model) for model in plan.plan.steps[0].route] == ["openai:a", "anthropic:b"]


async def test_what_is_no_batch_is_refused_by_name() -> None:
    rig = Rig()
    with pytest.raises(EmptyBatch):
        await rig.plan("", "  ")
    with pytest.raises(UnknownJob):
        await rig.plan("{}", job="receit")
    source = DocumentSource(uri=f"blob:{'0' * 64}")
    with pytest.raises(DocumentNotFound):
        await rig.batches.plan_batch(BatchRequest(job="receipt", manifest=source, tenant=TENANT))


async def test_rows_are_read_back_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_BLOCK_ROWS", 10)
    blobs = Blobs()
    rows = [BatchRow(row=number, document=DocumentSource(uri=f"file:///{number}")) for number in range(1, 36)]
    index = await write_listing(blobs, TENANT, rows)

    for first, last in [(1, 1), (1, 10), (10, 11), (8, 33), (35, 35), (31, 35), (31, 60), (1, 35)]:
        assert await read_rows(blobs, index, first, last) == rows[first - 1 : last]
    blobs.reads = 0
    await read_rows(blobs, index, 11, 20)
    assert blobs.reads == 2, "the index and one block"


async def test_a_row_has_the_id_of_a_single_run_and_its_text() -> None:
    rig = Rig()
    [row] = await rig.prepared(await rig.plan(*await rig.uploaded(b"one")))
    sha256 = hashlib.sha256(b"one").hexdigest()
    assert row.run_id == workflow_id(
        job="receipt", tenant=TENANT, document_sha256=sha256, version="v:openai:a:anthropic:b"
    )
    assert row.document is not None
    assert row.text is not None
    assert (row.document.sha256, row.error) == (sha256, None)
    assert CanonicalText.model_validate_json(await rig.blobs.get(row.text)).text == "one"


async def test_what_is_wrong_with_one_document_disturbs_no_other(tmp_path: Path) -> None:
    rig = Rig(roots=[tmp_path])
    (tmp_path / "here.txt").write_text("here")
    good, corrupt, crash, empty = await rig.uploaded(b"good", b"corrupt", b"crash", b"")
    lines: tuple[dict[str, object] | str, ...] = (
        {"uri": f"blob:{'0' * 64}"},
        good,
        "not JSON",
        corrupt,
        {"uri": "blob:short"},
        {"uri": (tmp_path / "gone.txt").as_uri()},
        {"uri": (tmp_path / "here.txt").as_uri()},
        {"uri": "file:///etc/hostname"},
        {"uri": "docs/a.pdf"},
        {"uri": "https://example.com/a.pdf"},
        crash,
        empty,
        good,
    )
    rows = await rig.prepared(await rig.plan(*lines))

    assert [row.error.type if row.error else "" for row in rows] == [
        "DocumentNotFound",
        "",
        "BadManifest",
        "CorruptDocument",
        "InvalidRequest",
        "DocumentNotFound",
        "",
        "SourceRefused",
        "SourceRefused",
        "SourceRefused",
        "",
        "EmptyDocument",
        "",
    ]
    assert [row.row.row for row in rows if row.text] == [2, 7]
    assert [row.row.row for row in rows if row.document] == [2, 4, 7, 11, 12], "also what the parsers choked on"
    assert rows[-1].row.duplicate_of == 2
    assert len({row.run_id for row in rows}) == len(rows)


async def test_without_reading_documents_are_taken_in_only() -> None:
    rig = Rig()
    one, corrupt, empty = await rig.prepared(await rig.plan(*await rig.uploaded(b"one", b"corrupt", b"")), reads=False)
    assert [(row.text, row.error, row.document is None) for row in (one, corrupt)] == [(None, None, False)] * 2
    assert empty.error is not None
    assert empty.error.type == "EmptyDocument"


async def test_a_store_that_is_away_is_trouble_of_the_group() -> None:
    rig = Rig()
    plan = await rig.plan(*await rig.uploaded(b"one", b"two", b"three"))
    rig.blobs.away = hashlib.sha256(b"two").hexdigest()
    with pytest.raises(ServiceUnavailable):
        await rig.prepared(plan)


# --- storing ----------------------------------------------------------------------------------------------------


def ended(number: int, answer: BlobRef | None = None, **fields: object) -> RowOutcome:
    result = RunResult(run_id=f"run-{number}", job="receipt", tenant=TENANT, outcome=Outcome.DONE, answer=answer)
    run = StoreRequest.model_validate({"result": result, "started_at": "2026-01-01"} | fields)
    return RowOutcome(row=number, run_id=f"run-{number}", name="a", uri="blob:x", outcome="done", run=run)


async def test_rows_are_stored_with_their_answers_and_ledgers() -> None:
    rig = Rig()
    answer = await rig.blobs.put(TENANT, b"1")
    entries = [LedgerEntry(name=f"chunk {number}", state=PartState.MAPPED) for number in range(3)]
    part = await rig.blobs.put(TENANT, Ledger(entries=tuple(entries[:2])).model_dump_json().encode())
    bad = RowOutcome(row=3, run_id="run-3", name="", uri="", outcome="duplicate")
    request = StoreGroupRequest(
        batch_id="b",
        tenant=TENANT,
        rows=(ended(1, answer), ended(2, ledger_parts=(part,), ledger=(entries[2],)), bad),
    )

    await rig.batches.store_group(request)

    [(stored, reports)] = rig.results.groups
    assert stored == request
    assert [(report.request.result.run_id, report.answer, list(report.ledger)) for report in reports] == [
        ("run-1", b"1", []),
        ("run-2", None, entries),
    ]


async def test_an_answer_that_is_lost_is_one_failed_row() -> None:
    rig = Rig()
    kept = await rig.blobs.put(TENANT, b"1")
    lost = BlobRef(tenant=TENANT, sha256="0" * 64, size=1)
    await rig.batches.store_group(StoreGroupRequest(batch_id="b", tenant=TENANT, rows=(ended(1, lost), ended(2, kept))))

    [(stored, reports)] = rig.results.groups
    assert [row.outcome for row in stored.rows] == ["failed", "done"]
    assert stored.rows[0].error == ErrorInfo(type="DocumentNotFound", message="blob is not in the blob store")
    assert [(report.request.result.outcome, report.answer) for report in reports] == [
        (Outcome.FAILED, None),
        (Outcome.DONE, b"1"),
    ]


async def test_a_blob_store_that_is_away_stores_nothing() -> None:
    rig = Rig()
    answer = await rig.blobs.put(TENANT, b"1")
    rig.blobs.away = answer.sha256
    with pytest.raises(ServiceUnavailable):
        await rig.batches.store_group(StoreGroupRequest(batch_id="b", tenant=TENANT, rows=(ended(1, answer),)))
    assert rig.results.groups == []
