"""What reaches the workflow of an answer: numbers, and labels that people have written down; never a model's text."""

from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from activities.checks.told import labels_of, told_by
from engross import Job, Router, Step
from engross.job import LoadedJob


class Kind(Enum):
    LETTER = "letter"
    BILL = "bill"


class Classified(BaseModel):
    label: str
    kind: Kind = Kind.LETTER
    tone: Literal["kind", "angry"] = "kind"
    confidence: float = 0.5


def loaded(output: type[BaseModel] = Classified) -> LoadedJob:
    job = Job(description="", pattern=Router(Step("classify", output=output), {"refund please": "refunds"}))
    return LoadedJob(name="post", folder=Path(), job=job, prompts={})


@pytest.mark.parametrize(
    ("label", "expected"),
    [("refund please", "refund please"), ("letter", "letter"), ("angry", "angry"), ("the patient has DCIS", "")],
)
def test_only_labels_that_people_wrote_are_told(label: str, expected: str) -> None:
    answer = Classified(label=label).model_dump_json().encode()
    assert told_by(answer, ("label",), labels_of(loaded(), Classified)) == {"label": expected}


def test_numbers_and_lengths_are_told_and_nothing_that_was_not_asked_for() -> None:
    answer = b'{"score": 0.5, "issues": ["a secret", "b"], "text": "secret", "other": {"a": 1}}'
    assert told_by(answer, ("score", "issues", "other", "missing"), ()) == {"score": 0.5, "issues": 2.0}
    assert told_by(answer, (), ()) == {}
