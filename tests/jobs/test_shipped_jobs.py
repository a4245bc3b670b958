"""The shipped jobs: whole, consistent in themselves, and answered by the stand-in on their own samples."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engross import Chain, FanOut, MapReduce, Refine, Router, Step
from engross.catalog import load_catalog
from engross.job import LoadedJob
from workers.local.standin.fences import Given
from workers.local.standin.judging import judge
from workers.local.standin.merging import merge
from workers.local.standin.rules import answer

JOBS = load_catalog().jobs
STEPS = [(job, step.name) for job in JOBS for step in JOBS[job].steps]
TEXTS = [(job, file.name) for job in JOBS for file in JOBS[job].samples() if file.suffix == ".txt"]
PATTERNS = {
    "invoice": Chain,
    "receipt": Chain,
    "ticket_card": Chain,
    "ticket_money": Chain,
    "meeting_summary": MapReduce,
    "meeting_brief": FanOut,
    "ticket": Router,
    "clinical_note": Refine,
}
TICKETS = Path(__file__).parents[2] / "jobs" / "ticket" / "batch" / "tickets.csv"
LEAST_RIGHT = 2 / 3
LEAST_RIGHT_WHEN_SURE = 0.9


def schema(job: str, step: str) -> dict[str, Any]:
    return JOBS[job].step(step).output.model_json_schema()


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def test_every_pattern_has_a_shipped_job() -> None:
    assert load_catalog().broken == {}
    assert {name: type(job.job.pattern) for name, job in JOBS.items()} == PATTERNS


@pytest.mark.parametrize("job", JOBS)
def test_every_job_has_samples_of_a_known_source(job: str) -> None:
    assert JOBS[job].samples()
    assert all(sample.stat().st_size for sample in JOBS[job].samples())
    assert f"`{job}/samples`" in (JOBS[job].folder.parent / "SOURCES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_prompts_name_only_what_the_schema_has(job: str, step: str) -> None:
    known = {name for part in parts(schema(job, step)) for name in part.get("properties", {})}
    known |= {value for part in parts(schema(job, step)) for value in part.get("enum", [])}
    named = set(re.findall(r"`([a-z_]+)`", JOBS[job].prompts[step]))
    assert named <= known


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_every_property_says_what_it_is(job: str, step: str) -> None:
    silent = [
        name
        for part in parts(schema(job, step))
        for name, spec in part.get("properties", {}).items()
        if isinstance(spec, dict) and "description" not in spec
    ]
    assert silent == []


@pytest.mark.parametrize("job", [name for name, job in JOBS.items() if isinstance(job.job.pattern, MapReduce | FanOut)])
def test_answers_that_are_put_together_do_not_grow_without_end(job: str) -> None:
    for step in JOBS[job].steps:
        lists = {
            name: spec
            for part in parts(schema(job, step.name))
            for name, spec in part.get("properties", {}).items()
            if spec.get("type") == "array" and name != "sources"
        }
        assert {name for name, spec in lists.items() if "maxItems" not in spec} == set()


def test_every_label_has_a_route() -> None:
    pattern = JOBS["ticket"].job.pattern
    assert isinstance(pattern, Router)
    assert set(schema("ticket", pattern.classify.name)["properties"]["label"]["enum"]) == set(pattern.routes)


@pytest.mark.parametrize(("job", "file"), TEXTS)
def test_the_stand_in_answers_every_step(job: str, file: str) -> None:
    loaded = JOBS[job]
    text = (loaded.folder / "samples" / file).read_text(encoding="utf-8")
    for step, value in answers(loaded, text):
        step.output.model_validate(value)


def answers(loaded: LoadedJob, text: str) -> Iterator[tuple[Step, dict[str, Any]]]:
    """What the stand-in says at every step of a job's pattern, without the pattern's workflow."""
    match loaded.job.pattern:
        case MapReduce(map=first, reduce=last):
            chunks = [text[at : at + 8000] for at in range(0, len(text), 8000)]
            yield from gathered([first] * len(chunks), last, chunks)
        case FanOut(perspectives=several, synthesis=last):
            yield from gathered(several, last, [text] * len(several))
        case Refine(generate=first, evaluate=last):
            note = answer(first.output.model_json_schema(), text)
            yield first, note
            yield last, judge(last.output.model_json_schema(), text, note)
        case pattern:
            yield from ((step, answer(step.output.model_json_schema(), text)) for step in pattern.steps)


def gathered(steps: Any, last: Step, texts: list[str]) -> Iterator[tuple[Step, dict[str, Any]]]:
    found = [answer(step.output.model_json_schema(), text) for step, text in zip(steps, texts, strict=True)]
    yield from zip(steps, found, strict=True)
    given = [Given(step.name, value) for step, value in zip(steps, found, strict=True)]
    yield last, merge(last.output.model_json_schema(), given)


@pytest.fixture(scope="module")
def sorted_tickets() -> list[tuple[bool, float]]:
    """For each row of the file of tickets whether the stand-in's label is right, and how sure it is."""
    with TICKETS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(answer(schema("ticket", "classify"), row["text"]), row["category"]) for row in rows]
    return [(ticket["label"] == category, ticket["confidence"]) for ticket, category in found]


def test_most_tickets_are_told_apart(sorted_tickets: list[tuple[bool, float]], record_property: Any) -> None:
    right = sum(is_right for is_right, _ in sorted_tickets)
    record_property("right", f"{right} of {len(sorted_tickets)}")
    assert len(sorted_tickets) == 48
    assert right / len(sorted_tickets) >= LEAST_RIGHT


def test_confidence_tells_right_labels_from_guesses(sorted_tickets: list[tuple[bool, float]]) -> None:
    pattern = JOBS["ticket"].job.pattern
    assert isinstance(pattern, Router)
    sure = [is_right for is_right, confidence in sorted_tickets if confidence >= pattern.bar]
    guessed = [is_right for is_right, confidence in sorted_tickets if confidence < 0.5]
    assert len(sure) > len(sorted_tickets) / 2
    assert sum(sure) / len(sure) >= LEAST_RIGHT_WHEN_SURE
    assert guessed
    assert sum(guessed) / len(guessed) < LEAST_RIGHT_WHEN_SURE


@pytest.mark.parametrize("file", [name for job, name in TEXTS if job == "ticket"])
def test_every_sample_of_a_ticket_finds_its_way(file: str) -> None:
    pattern = JOBS["ticket"].job.pattern
    assert isinstance(pattern, Router)
    ticket = answer(schema("ticket", "classify"), (JOBS["ticket"].folder / "samples" / file).read_text())
    assert ticket["confidence"] >= pattern.bar
    assert pattern.routes[ticket["label"]] in JOBS
