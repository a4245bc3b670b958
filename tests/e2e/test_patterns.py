"""The patterns as a user has them: the shipped jobs over their samples, what a ledger says."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from activities.documents.canonical import canonical
from engross import Router
from engross.catalog import load_catalog
from tests.e2e.conftest import Engross
from tests.e2e.in_process import reports_of
from tests.e2e.pattern_jobs import marker, sections

pytestmark = [pytest.mark.xdist_group("stack")]

JOBS = load_catalog().jobs
LONG_MEETING = next(file for file in JOBS["meeting_summary"].samples() if file.name == "product-long.txt")
PATTERNS = ("meeting_summary", "meeting_brief", "ticket", "clinical_note")
# What the stand-in can't do better: it has no judgement, so that its notes may stay below the bar of clinical_note.
ENDS = {"done": None, "needs_approval": "BelowBar"}


@pytest.fixture(scope="module")
def reports(engross: Engross) -> dict[str, list[dict[str, Any]]]:
    """The reports on all samples of the jobs whose pattern is no chain, by job."""
    engross.script()
    work = [(job, sample) for job in PATTERNS for sample in JOBS[job].samples()]
    found = reports_of(engross, *work)
    return {job: [report for report in found if report["job"] == job] for job in PATTERNS}


def schema_of(job: str, report: dict[str, Any]) -> Any:
    """The schema of the answer: a router's is that of the job it went to."""
    routed = [part["name"] for part in report["ledger"] if part["state"] == "routed"]
    step = JOBS[routed[0] if routed else job].steps
    return (step[0] if job == "clinical_note" else step[-1]).output


def sources(answer: Any) -> Iterator[int]:
    """All that an answer cites."""
    if isinstance(answer, dict):
        yield from answer.get("sources", [])
    for inner in answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ():
        yield from sources(inner)


# --- the shipped jobs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", PATTERNS)
def test_every_sample_ends_in_an_answer_of_its_schema(reports: dict[str, list[dict[str, Any]]], job: str) -> None:
    assert len(reports[job]) == len(JOBS[job].samples()) > 0
    for report in reports[job]:
        assert report["outcome"] in ENDS, report
        assert (report["error"] and report["error"]["type"]) == ENDS[report["outcome"]]
        schema_of(job, report).model_validate(report["answer"])
        assert report["calls"] >= 1
        assert report["missing"] == []


def test_ledgers_name_every_part(reports: dict[str, list[dict[str, Any]]]) -> None:
    for report in reports["meeting_brief"]:
        steps = [step.name for step in JOBS["meeting_brief"].steps[:-1]]
        assert sorted(part["name"] for part in report["ledger"]) == sorted(steps)
        assert {part["state"] for part in report["ledger"]} <= {"answered", "repaired"}
    router = JOBS["ticket"].job.pattern
    assert isinstance(router, Router)
    for report in reports["ticket"]:
        classified, routed = report["ledger"]
        assert (classified["name"], classified["state"]) == ("classify", "answered")
        assert (routed["name"], routed["state"]) == (router.routes[classified["label"]], "routed")
    for report in reports["clinical_note"]:
        assert report["ledger"][0]["name"] == "round 1"
        assert sum(part.get("is_best", False) for part in report["ledger"]) == 1


def test_a_summary_cites_the_chunks_that_it_comes_from(reports: dict[str, list[dict[str, Any]]]) -> None:
    [report] = [report for report in reports["meeting_summary"] if report["document"] == LONG_MEETING.name]
    text = canonical([LONG_MEETING.read_text()]).text
    chunks = {part["number"]: text[part["start"] : part["end"]] for part in report["ledger"]}
    assert list(chunks) == list(range(1, len(chunks) + 1))
    assert len(chunks) >= 4
    assert {part["state"] for part in report["ledger"]} == {"mapped"}
    assert {(part["first_page"], part["last_page"]) for part in report["ledger"]} == {(1, 1)}
    ends = [(part["start"], part["end"]) for part in report["ledger"]]
    # Every chunk begins within the one before, or where only blanks are between them.
    assert all(before[0] < start and not text[before[1] : start].strip() for before, (start, _) in pairwise(ends))
    assert (ends[0][0], ends[-1][1]) == (0, len(text.rstrip()))
    cited = set(sources(report["answer"]))
    assert cited <= set(chunks)
    assert len(cited) >= 2
    # The stand-in writes nothing of its own, so that the words of each point must be in what it cites.
    words = {number: words_of(chunk) for number, chunk in chunks.items()}
    for point in report["answer"]["points"]:
        assert words_of(point["text"]) <= set().union(*(words[number] for number in point["sources"])), point["sources"]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.lower()))


# --- parts that are refused -------------------------------------------------------------------------------------


def test_two_refused_chunks_make_a_partial_summary(engross: Engross, reports: dict[str, list[dict[str, Any]]]) -> None:
    [whole] = [report for report in reports["meeting_summary"] if report["document"] == LONG_MEETING.name]
    text = canonical([LONG_MEETING.read_text()]).text
    refused = [whole["ledger"][1], whole["ledger"][-2]]
    engross.script(*({"kind": "refuse", "match": only_in(text, part), "times": 9} for part in refused))
    [report] = reports_of(engross, ("meeting_summary", LONG_MEETING), cache=False)
    assert (report["outcome"], report["error"]) == ("partial", None)
    names = [part["name"] for part in refused]
    assert report["missing"] == [f"{name}, page 1: RefusedAnswer" for name in names]
    assert not {part["number"] for part in refused} & set(sources(report["answer"]))
    shown = engross("ledger", report["run_id"])
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert [" ".join(line[:2]) for line in lines if line[-1] == "RefusedAnswer"] == names
    count = len(report["ledger"])
    assert shown.stdout.splitlines()[-1] == f"{count} parts: {count - 2} mapped, 2 refused"
    told = engross("result", report["run_id"]).stdout
    assert all(f"missing: {each}" in told for each in report["missing"]), told


def only_in(text: str, part: dict[str, Any]) -> str:
    """Words from the middle of a chunk that are nowhere else."""
    middle = (part["start"] + part["end"]) // 2
    words = text[middle : middle + 60].split("\n")[0]
    assert text.count(words) == 1
    return words


def test_a_job_that_allows_no_gaps_leaves_refused_chunks_to_a_person(
    engross: Engross, tmp_path: Path, seed: int
) -> None:
    document = tmp_path / "sections.txt"
    document.write_text(sections(seed, 10))
    engross.script(*({"kind": "refuse", "match": marker(seed, number)} for number in (2, 6)))
    ended = engross("submit", "sections", str(document), "--wait", "--json")
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["outcome"], report["error"]["type"]) == (1, "needs_approval", "IncompleteAnswer")
    assert "2 of 10 parts gave no answer, first chunk 3" in report["error"]["message"]
    assert report["answer"] is None
    entries = [json.loads(line) for line in engross("ledger", report["run_id"], "--json").stdout.splitlines()]
    assert [entry["number"] for entry in entries if entry["state"] == "refused"] == [3, 7]
    assert [entry["number"] for entry in entries if entry["state"] == "mapped"] == [1, 2, 4, 5, 6, 8, 9, 10]
    assert len(engross.calls()) == 10  # nothing was put together
