"""What the patterns make of bad input and of models that don't do as they are told: each ends by its name."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Engross
from tests.e2e.pattern_jobs import marker, sections

pytestmark = [pytest.mark.xdist_group("stack")]

Fault = dict[str, Any]
Reports = dict[str, dict[str, Any]]


def submitted(
    engross: Engross, job: str, folder: Path, texts: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], Reports]:
    """What the command says of texts that are submitted together, by their names."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    ended = engross("submit", job, str(folder), "--wait", "--json")
    assert "Traceback" not in ended.stderr
    return ended, {Path(report["document"]).name: report for report in map(json.loads, ended.stdout.splitlines())}


def ends(reports: Reports) -> dict[str, str]:
    """Outcomes, or the error where there is one."""
    return {name: report["error"]["type"] if report["error"] else report["outcome"] for name, report in reports.items()}


def states(report: dict[str, Any]) -> list[str]:
    return [part["state"] for part in report["ledger"]]


def test_odd_documents_end_by_name(engross: Engross, tmp_path: Path, seed: int) -> None:
    texts = {
        "empty.txt": "",
        "blank-lines.txt": "\n" * 100_000,
        "one-character.txt": "x",
        "one-line.txt": f"{seed} " + "the talk went on and on about remote controls, " * 6_400,
        "one-word.txt": f"{seed:06}" * 10_000,
    }
    engross.script()
    ended, reports = submitted(engross, "meeting_summary", tmp_path, texts)
    assert ends(reports) == {
        "empty.txt": "EmptyDocument",
        "blank-lines.txt": "EmptyDocument",
        "one-character.txt": "done",
        "one-line.txt": "done",
        "one-word.txt": "done",
    }
    assert ended.returncode == 1
    parts = reports["one-line.txt"]["ledger"]
    assert len(parts) > 10
    assert parts[-1]["end"] == len(texts["one-line.txt"].rstrip())
    assert len(reports["one-character.txt"]["ledger"]) == 1


def test_a_chunk_that_no_window_holds_is_halved_or_named(engross: Engross, tmp_path: Path, seed: int) -> None:
    texts = {name: sections(seed + number, 20) for number, name in enumerate(("once", "cut-off", "always"))}
    engross.script(
        {"kind": "context_too_long", "match": marker(seed, 0)},
        {"kind": "window", "match": marker(seed + 1, 0), "times": 2},
        {"kind": "context_too_long", "match": marker(seed + 2, 0), "times": 99},
    )
    ended, reports = submitted(engross, "whole", tmp_path, texts)
    assert ends(reports) == {"once": "done", "cut-off": "done", "always": "ContextTooLong"}
    assert ended.returncode == 1
    for name in ("once", "cut-off"):
        assert reports[name]["answer"] == {"section": marker(seed + list(texts).index(name), 0)}
        [part] = reports[name]["ledger"]
        assert (part["state"], part["parts"], part["start"], part["end"]) == ("repaired", 2, 0, len(texts[name]))
    assert states(reports["always"]) == ["failed"]
    refused = [call for call in engross.calls() if call["fault"] == "context_too_long"]
    assert len(refused) == 1 + 5  # once, and four times halved


def test_labels_outside_the_set_go_to_a_person(engross: Engross, tmp_path: Path, seed: int) -> None:
    labels = {"right": ("slip", 0.9), "unknown": ("parking", 0.9), "unsure": ("slip", 0.2)}
    engross.script(*(reply(label, confidence, f"{name} {seed}") for name, (label, confidence) in labels.items()))
    ended, reports = submitted(engross, "sorter", tmp_path, {name: f"Section: {name} {seed}" for name in labels})
    assert ends(reports) == {"right": "done", "unknown": "UnknownLabel", "unsure": "UnsureLabel"}
    assert {name: report["outcome"] for name, report in reports.items() if report["error"]} == {
        "unknown": "needs_approval",
        "unsure": "needs_approval",
    }
    assert reports["right"]["answer"] == {"section": f"right {seed}"}
    assert reports["unknown"]["answer"] == {"label": "parking", "confidence": 0.9}  # for who has to decide
    assert states(reports["right"]) == ["answered", "routed"]
    assert ended.returncode == 1


def test_a_label_that_breaks_the_schema_is_an_invalid_answer(engross: Engross, tmp_path: Path, seed: int) -> None:
    engross.script(*[reply("parking", 0.9, str(seed)) | {"times": 2}])
    _, reports = submitted(engross, "ticket", tmp_path, {"parking.txt": f"Where is my car? {seed}"})
    assert ends(reports) == {"parking.txt": "InvalidAnswer"}
    assert reports["parking.txt"]["outcome"] == "needs_approval"
    assert "label" in reports["parking.txt"]["error"]["message"]
    assert len(engross.calls()) == 2


def reply(label: str, confidence: float, match: str) -> Fault:
    return {"kind": "invalid", "match": match, "arguments": {"label": label, "confidence": confidence}}


def test_an_evaluator_that_helps_nobody_ends_the_rounds(engross: Engross, tmp_path: Path, seed: int) -> None:
    names = ("zero", "zero of three", "refused", "nonsense")
    zero = {"issues": ["Wrong."], "score": 0}
    engross.script(
        *(judged(f"zero {seed}", {"kind": "invalid", "arguments": zero}) for _ in range(9)),
        *(judged(f"zero of three {seed}", {"kind": "invalid", "arguments": zero}) for _ in range(9)),
        *(written(f"zero of three {seed}", number) for number in range(3)),
        judged(f"refused {seed}", {"kind": "refuse"}),
        judged(f"nonsense {seed}", {"kind": "invalid", "arguments": {"score": "good"}, "times": 9}),
    )
    ended, reports = submitted(engross, "polish", tmp_path, {name: f"Section: {name} {seed}" for name in names})
    assert ends(reports) == dict.fromkeys(names, "done")
    assert ended.returncode == 0
    below = "below the bar: 0.00 of 0.80"
    assert {name: report["flags"] for name, report in reports.items()} == {
        "zero": [below],
        "zero of three": [below],
        "refused": ["not evaluated: RefusedAnswer"],
        "nonsense": ["not evaluated: InvalidAnswer"],
    }
    # The same again is not judged again; of equals the first is the best.
    assert {name: len(report["ledger"]) for name, report in reports.items()} == {
        "zero": 2,
        "zero of three": 3,
        "refused": 1,
        "nonsense": 1,
    }
    assert reports["zero of three"]["answer"] == {"section": "attempt 0"}
    assert [part.get("is_best", False) for part in reports["zero of three"]["ledger"]] == [True, False, False]


def test_a_job_may_leave_what_is_below_the_bar_to_a_person(engross: Engross, tmp_path: Path, seed: int) -> None:
    engross.script(judged(str(seed), {"kind": "invalid", "arguments": {"issues": [], "score": 0}, "times": 9}))
    ended, reports = submitted(engross, "polish_or_ask", tmp_path, {"zero": f"Section: zero {seed}"})
    assert (ends(reports), reports["zero"]["outcome"]) == ({"zero": "BelowBar"}, "needs_approval")
    assert reports["zero"]["answer"] == {"section": f"zero {seed}"}
    assert ended.returncode == 1


def judged(match: str, fault: Fault) -> Fault:
    """A fault of the evaluator."""
    return {"path": "anthropic", "match": match, **fault}


def written(match: str, number: int) -> Fault:
    """An attempt unlike the others."""
    return {"path": "openai", "match": match, "kind": "invalid", "arguments": {"section": f"attempt {number}"}}
