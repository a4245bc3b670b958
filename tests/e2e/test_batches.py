"""Batches by command, as a user has them: every row accounted for, whatever happens to some of them."""

import json
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from engross.catalog import load_catalog
from starters.batch_reports import BatchReport
from starters.batches import BatchClient
from starters.reports import json_line
from tests.e2e.conftest import Engross, until
from tests.e2e.in_process import asked
from tests.faults.fleet import reply_after

pytestmark = [pytest.mark.xdist_group("anthropic")]

TICKETS = load_catalog().jobs["ticket"].folder / "batch" / "tickets.csv"
LATENCY = 0.3


@pytest.fixture
def stack(engross_anthropic: Engross) -> Engross:
    """Its calls have a price, and one of its jobs a budget."""
    engross_anthropic.script()
    return engross_anthropic


def write_slips(folder: Path, seed: int, count: int) -> list[str]:
    """Documents of the job `single`: their sections, which are the answers."""
    names = [f"{seed:06}-{number:03}" for number in range(count)]
    for name in names:
        (folder / f"{name}.txt").write_text(f"Section: {name}\n")
    return names


def batch(engross: Engross, *arguments: str) -> dict[str, Any]:
    """What a command of `engross batch` says as JSON."""
    ended = engross("batch", *arguments, "--json")
    assert ended.returncode in (0, 1), ended.stderr
    assert "Traceback" not in ended.stderr
    [report] = map(json.loads, ended.stdout.splitlines())
    return dict(report)


def rows_of(engross: Engross, batch_id: str) -> list[dict[str, Any]]:
    """What `engross batch rows` lists."""

    async def listed(client: BatchClient) -> list[dict[str, Any]]:
        return [json.loads(json_line(row)) async for row in client.batch_rows(batch_id)]

    return asked(engross, listed)


def status_of(engross: Engross, batch_id: str) -> BatchReport:
    """What `engross batch status` shows."""
    return asked(engross, lambda client: client.batch_status(batch_id))


def tell(engross: Engross, *arguments: str) -> None:
    told = engross("batch", *arguments)
    assert told.returncode == 0, told.stderr


def peak(calls: list[dict[str, Any]]) -> int:
    """The most of them that were in flight at once."""
    steps = sorted([(call["at"], 1) for call in calls] + [(call["at"] + LATENCY, -1) for call in calls])
    return max(accumulate(step for _, step in steps), default=0)


# --- rows -------------------------------------------------------------------------------------------------------


def test_a_poisoned_document_is_one_failed_row_and_tried_again_alone(stack: Engross, tmp_path: Path, seed: int) -> None:
    names = write_slips(tmp_path, seed, 60)
    stack.script({"kind": "empty", "match": names[17]})
    report = batch(stack, "submit", "single", str(tmp_path), "--wait")
    counts = {name: report[name] for name in ("total", "done", "failed", "calls", "state")}
    assert counts == {"total": 60, "done": 59, "failed": 1, "calls": 60, "state": "ended"}
    rows = rows_of(stack, report["batch_id"])
    assert [row["row"] for row in rows] == list(range(1, 61))
    assert [Path(row["document"]).stem for row in rows] == names
    [failed] = [row for row in rows if row["outcome"] != "done"]
    assert (failed["row"], failed["outcome"], failed["error"]["type"]) == (18, "failed", "EmptyAnswer")
    assert json.loads(stack("result", rows[0]["run_id"], "--json").stdout)["answer"] == {"section": names[0]}
    assert len(stack.calls()) == 60

    stack.script()
    again = batch(stack, "retry-failed", report["batch_id"], "--wait")
    assert (again["total"], again["done"], len(stack.calls())) == (1, 1, 1)
    [row] = rows_of(stack, again["batch_id"])
    assert row["uri"] == failed["uri"]
    assert "nothing failed" in stack("batch", "retry-failed", again["batch_id"]).stderr


def test_a_manifest_with_everything_that_is_wrong_with_manifests(stack: Engross, tmp_path: Path, seed: int) -> None:
    first, second = write_slips(tmp_path, seed, 2)
    lines = [
        {"uri": f"{first}.txt", "name": "first"},
        {"uri": f"{tmp_path}/{first}.txt", "name": "the same file"},
        {"uri": "nowhere.txt"},
        {"uri": "file:///nowhere/at/all.txt"},
        {"url": "misspelt.txt"},
        {"uri": f"{second}.txt", "name": "second"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join([*map(json.dumps, lines), "{broken", ""]))
    here = Engross(stack.environment, tmp_path)
    ended = here("batch", "submit", "single", "--manifest", str(manifest), "--wait", "--json")
    assert ended.returncode == 1
    assert "nowhere.txt" in ended.stderr
    report = json.loads(ended.stdout)
    rows = rows_of(stack, report["batch_id"])
    found = [(row["row"], row["outcome"], row["error"] and row["error"]["type"]) for row in rows]
    assert found == [
        (1, "done", None),
        (2, "duplicate", None),
        (3, "failed", "DocumentNotFound"),
        (4, "failed", "DocumentNotFound"),
        (5, "failed", "BadManifest"),
        (6, "done", None),
        (7, "failed", "BadManifest"),
    ]
    assert "line 5" in rows[4]["error"]["message"]
    assert (report["done"], report["failed"], report["duplicate"], len(stack.calls())) == (2, 4, 1, 2)


@pytest.mark.parametrize("option", [["--manifest"], ["--rows"], []])
def test_a_batch_of_nothing_is_one_clear_line(stack: Engross, tmp_path: Path, option: list[str]) -> None:
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("")
    (tmp_path / "empty").mkdir()
    ended = stack("batch", "submit", "single", *option, str(nothing if option else tmp_path / "empty"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "no document" in ended.stderr


def test_a_router_reads_the_rows_of_a_table(stack: Engross, tmp_path: Path, seed: int) -> None:
    head, *tickets = TICKETS.read_text().splitlines()
    table = tmp_path / "tickets.csv"
    table.write_text("\n".join([head, *(line.replace(",", f" ({seed}),", 1) for line in tickets[:12])]))
    report = batch(stack, "submit", "ticket", "--rows", str(table), "--column", "text", "--wait")
    rows = rows_of(stack, report["batch_id"])
    assert [row["row"] for row in rows] == list(range(1, 13))
    assert {row["outcome"] for row in rows} <= {"done", "needs_approval"}
    assert Counter(row["outcome"] for row in rows)["done"] == report["done"] >= 6
    assert report["done"] + report["needs_approval"] == 12
    done = next(row for row in rows if row["outcome"] == "done")
    entries = [json.loads(line) for line in stack("ledger", done["run_id"], "--json").stdout.splitlines()]
    assert [entry["state"] for entry in entries] == ["answered", "routed"]


# --- acting -----------------------------------------------------------------------------------------------------


def test_a_batch_obeys_its_commands(stack: Engross, tmp_path: Path, seed: int) -> None:
    write_slips(tmp_path, seed, 80)
    reply_after(stack, LATENCY)
    started = batch(stack, "submit", "single", str(tmp_path), "--at-once", "8", "--group", "10")
    batch_id = started["batch_id"]
    until(lambda: len(stack.calls()) >= 8)

    tell(stack, "pause", batch_id)
    assert status_of(stack, batch_id).state == "paused"
    until(lambda: status_of(stack, batch_id).running == 0)
    called = len(stack.calls())
    assert called < 80
    assert all(call["status"] == 200 for call in stack.calls())

    tell(stack, "window", batch_id, "3")
    assert len(stack.calls()) == called  # still paused
    resumed = time.time()
    tell(stack, "resume", batch_id)
    until(lambda: len(stack.calls()) >= called + 9)
    assert peak([call for call in stack.calls() if call["at"] > resumed]) <= 3
    assert status_of(stack, batch_id).at_once == 3

    tell(stack, "cancel", batch_id)
    until(lambda: status_of(stack, batch_id).state == "cancelled")
    rows = rows_of(stack, batch_id)
    outcomes = Counter(row["outcome"] for row in rows)
    assert set(outcomes) == {"done", "cancelled"}
    assert "has ended" in stack("batch", "pause", batch_id).stderr

    stack.script()
    again = batch(stack, "retry-failed", batch_id, "--wait")
    # Those that never began are among them.
    assert again["total"] == again["done"] == 80 - outcomes["done"]
    stored = {row["document"] for row in rows if row["outcome"] == "done"}
    assert stored.isdisjoint(row["document"] for row in rows_of(stack, again["batch_id"]))


def test_a_parked_document_goes_on_by_itself(stack: Engross, tmp_path: Path, seed: int) -> None:
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text(f"Slip {seed} {number}\nTotal: 12.50\n")
    report = batch(stack, "submit", "capped", str(tmp_path), "--wait")
    assert (report["state"], report["parked"], report["calls"]) == ("ended", 2, 0)
    parked = rows_of(stack, report["batch_id"])
    assert [(row["outcome"], row["error"]["type"]) for row in parked] == [("parked", "BudgetExhausted")] * 2
    raised = stack("budget", "raise", parked[0]["run_id"], "--by", "1")
    assert raised.returncode == 0, raised.stderr
    until(lambda: stack.outcome(parked[0]["run_id"]) == "done")
    rows = rows_of(stack, report["batch_id"])
    assert [(row["outcome"], row["run_id"]) for row in rows] == [
        ("done", parked[0]["run_id"]),
        ("parked", parked[1]["run_id"]),
    ]
    assert rows[0]["error"] is None
    assert rows[0]["cost_usd"] > 0
    now = batch(stack, "status", report["batch_id"])
    assert (now["done"], now["parked"]) == (1, 1)
    assert stack("cancel", parked[1]["run_id"]).returncode == 0
    until(lambda: rows_of(stack, report["batch_id"])[1]["outcome"] == "cancelled")
