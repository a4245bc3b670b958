"""The few values of an answer that an e-mail may hold."""

import json

import pytest

from activities.notices.fields import fields_of
from engross.contracts import BlobRef
from engross.errors import CorruptDocument, DocumentNotFound, ServiceUnavailable
from tests.activities.notices.makers import ANSWER, Answers


async def test_texts_numbers_and_booleans_at_the_top_are_told_as_written() -> None:
    data = (
        b'{"no": "A\\n1", "total": 1234567890.10, "count": 3, "paid": true, "none": null, "lines": [1], "x": {"y": 1}}'
    )
    assert await fields_of(Answers(data), ANSWER) == [
        ("no", "A 1"),
        ("total", "1234567890.10"),
        ("count", "3"),
        ("paid", "yes"),
    ]


async def test_they_are_few_and_short() -> None:
    data = json.dumps({f"field {number}": "x" * 1000 for number in range(50)}).encode()
    fields = await fields_of(Answers(data), ANSWER)
    assert [name for name, _ in fields] == [f"field {number}" for number in range(8)]
    assert {len(value) for _, value in fields} == {100}


@pytest.mark.parametrize(
    "data",
    [b"[1]", b"no JSON", b"\xff", b"[" * 100_000, DocumentNotFound("gone"), CorruptDocument("damaged")],
    ids=["list", "text", "bytes", "deep", "gone", "damaged"],
)
async def test_an_answer_that_cannot_be_read_has_none(data: bytes | Exception) -> None:
    assert await fields_of(Answers(data), ANSWER) == []


async def test_no_answer_and_a_huge_one_are_not_read() -> None:
    answers = Answers()
    assert await fields_of(answers, None) == []
    assert await fields_of(answers, BlobRef(tenant="acme", sha256="a" * 64, size=1_000_001)) == []
    assert answers.asked == []


async def test_a_store_that_does_not_answer_is_asked_again() -> None:
    with pytest.raises(ServiceUnavailable):
        await fields_of(Answers(ServiceUnavailable("down")), ANSWER)
