"""Real documents through the real command, servers, SDKs and wires."""

import json
from pathlib import Path
from typing import Any

import pytest

from engross.catalog import load_catalog
from tests.e2e.conftest import Engross

pytestmark = [pytest.mark.xdist_group("stack")]

JOBS = load_catalog().jobs
CHAINS = [name for name, job in JOBS.items() if job.job.pattern.workflow == "chain"]
EXPECTED = Path(__file__).parent / "expected"
KEYS = {
    "run_id", "job", "tenant", "document", "outcome", "answer", "error", "usage", "cost_usd", "model",
    "prompt_version", "calls", "repairs", "missing", "flags", "ledger", "approval",
}  # fmt: skip
# The stand-in reads by rules; this is what they must reach at least on documents that anyone can look at.
LEAST_RIGHT = 0.7


@pytest.mark.parametrize("job", CHAINS)
def test_every_chain_runs_its_samples(engross: Engross, job: str) -> None:
    samples = JOBS[job].samples()
    assert samples, f"{job} has no samples"
    reports = engross.submit(job, *map(str, samples))
    assert {report["outcome"] for report in reports} == {"done"}
    assert len(reports) == len(samples)
    for report in reports:
        assert set(report) == KEYS
        JOBS[job].steps[-1].output.model_validate(report["answer"])
        assert report["usage"]["input_tokens"] > 0
        assert (report["model"], report["calls"]) == ("stand-in", 1 + report["repairs"] // 2)


@pytest.mark.parametrize("job", ["invoice", "receipt"])
def test_answers_are_mostly_right(engross: Engross, job: str, record_property: Any) -> None:
    expected = json.loads((EXPECTED / f"{job}.json").read_text())
    answers = {Path(r["document"]).name: r["answer"] for r in engross.submit(job, *map(str, JOBS[job].samples()))}
    pairs = [(answers[name][field], value) for name, values in expected.items() for field, value in values.items()]
    right = sum(answer == value for answer, value in pairs)
    record_property("right", f"{right} of {len(pairs)}")
    assert right / len(pairs) >= LEAST_RIGHT, f"{right} of {len(pairs)} values right"


def test_the_same_document_is_paid_for_once(engross: Engross) -> None:
    sample = str(JOBS["receipt"].samples()[0])
    [first] = engross.submit("receipt", sample)
    engross.script()
    [second] = engross.submit("receipt", sample)
    assert second == first
    assert engross.calls() == []
    [again] = engross.submit("receipt", sample, "--no-cache")
    assert again["run_id"] != first["run_id"]
    assert len(engross.calls()) == 1


@pytest.fixture
def slip(tmp_path: Path) -> str:
    file = tmp_path / "slip.txt"
    file.write_text("Corner Shop\nTotal: 12.50\n")
    return str(file)


def test_a_job_outside_the_checkout_runs_its_steps_in_order(engross: Engross, slip: str) -> None:
    engross.script()
    [report] = engross.submit("slip", slip)
    assert (report["outcome"], report["answer"], report["calls"]) == ("done", {"total": 12.5}, 2)
    assert [call["path"] for call in engross.calls()] == ["/v1/chat/completions"] * 2


def test_an_outage_of_one_provider_moves_on_to_the_next(engross: Engross, slip: str) -> None:
    engross.script({"kind": "error", "status": 529, "times": 2})
    [report] = engross.submit("slip", slip, "--no-cache")
    assert (report["outcome"], report["calls"]) == ("done", 2)
    paths = [call["path"] for call in engross.calls()]
    assert paths == ["/v1/chat/completions"] * 2 + ["/v1/messages", "/v1/chat/completions"]


def test_equal_requests_cost_nothing_until_the_cache_is_cleared(engross: Engross, slip: str) -> None:
    engross.submit("slip", slip)
    engross.script()
    [again] = engross.submit("slip", slip, "--again")
    assert (again["outcome"], again["calls"], again["cost_usd"]) == ("done", 0, 0)
    assert engross.calls() == []
    other = engross.submit("slip", slip, "--tenant", "other")
    assert [report["calls"] for report in other] == [2]
    cleared = engross("cache", "clear", "--job", "slip", "--tenant", "default")
    assert cleared.returncode == 0
    assert int(cleared.stdout.split()[0]) >= 2
    [paid_again] = engross.submit("slip", slip, "--again")
    assert paid_again["calls"] == 2
