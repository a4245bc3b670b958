"""Conditions over answers and documents: exact numbers, whole words, paths through lists, and speed on long texts."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from activities.approvals.conditions import fold, holds, needs_text, number, read_answer, subject, values_at
from engross.contracts import Above, AllOf, AnyOf, Condition, Longer, Missing, Not, OneOf, Words
from engross.errors import InvalidRequest

ANSWER = {
    "amount": 0.1,
    "exact": "12000.00",
    "text": "  ",
    "none": None,
    "flag": True,
    "kind": "Straße",
    "lines": [{"total": 5, "tags": ["a"]}, {"total": 70}],
    "empty": [],
}


def holds_for(condition: Condition, answer: Any = ANSWER, text: str = "") -> bool:
    return holds(condition, subject(json.dumps(answer).encode(), text))


@pytest.mark.parametrize(
    ("field", "limit", "expected"),
    [
        ("amount", "0.1", False),  # the double of 0.1 is more than the decimal: numbers are read as written
        ("amount", "0.0999", True),
        ("exact", "11999.99", True),
        ("exact", "12000", False),
        ("none", "-1", False),
        ("gone", "-1", False),
        ("gone.deeper", "-1", False),
        ("flag", "0", False),
        ("kind", "0", False),
        ("lines", "0", False),
        ("lines.1.total", "69", True),
        ("lines.0.total", "69", False),
        ("lines.2.total", "-1", False),
        ("lines.-1.total", "0", False),
        ("lines.*.total", "69", True),
        ("lines.*.total", "70", False),
        ("empty.*.total", "-1", False),
    ],
)
def test_above(field: str, limit: str, expected: bool) -> None:
    assert holds_for(Above(field=field, limit=Decimal(limit))) is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("9" * 5000, Decimal("9" * 5000)),
        ('"Infinity"', Decimal("Infinity")),
        ('"NaN"', None),
        ('"sNaN"', None),
        ('"12 000"', None),
        ("NaN", None),
    ],
)
def test_numbers_of_any_size_and_what_is_none(written: str, expected: Decimal | None) -> None:
    assert number(read_answer(written.encode())) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("text", True),
        ("none", True),
        ("none.deeper", True),
        ("gone", True),
        ("empty", True),
        ("empty.*.total", False),
        ("amount", False),
        ("flag", False),
        ("lines.*.tags", True),
        ("lines.*.total", False),
        ("lines.0.tags", False),
        ("gone.*.total", True),
    ],
)
def test_missing(field: str, expected: bool) -> None:
    assert holds_for(Missing(field=field)) is expected


def test_zero_and_false_are_not_missing() -> None:
    assert not holds_for(AnyOf(conditions=(Missing(field="a"), Missing(field="b"))), {"a": 0, "b": False})


@pytest.mark.parametrize(("values", "expected"), [(("x", "STRASSE"), True), (("stras",), False), ((), False)])
def test_one_of(values: tuple[str, ...], expected: bool) -> None:
    assert holds_for(OneOf(field="kind", values=values)) is expected
    assert holds_for(OneOf(field="kinds.*", values=values), {"kinds": ["y", "Straße"]}) is expected
    assert not holds_for(OneOf(field="none", values=("none", "")))


@pytest.mark.parametrize(
    ("word", "text", "expected"),
    [
        ("lien", "a LIEN on it", True),
        ("lien", "a client", False),
        ("lien", "liens", False),
        ("net amount", "the Net\n\f\n  Amount is", True),
        ("net amount", "the net\u00a0amount", True),
        ("net amount", "net worth amount", False),
        ("confidential", "con\ufb01dential", True),
        ("confidential", "confi-\ndential", True),
        ("long-term", "a long-\nterm loan", True),
        ("term", "a long-\nterm loan", True),
        ("long-term", "a long-\u2011term loan", False),
        ("long-term", "a long\u2011term loan", True),
        ("long-term", "a long-term loan", True),
        ("café", "cafe\u0301", True),
        ("pay", "\uff30\uff21\uff39", True),
        ("straße", "STRASSE", True),
        ("§ 5", "under §\n5 of it", True),
        ("c++", "in C++, mostly", True),
        ("a.c", "abc", False),
        ("契約", "本契約は", True),
        ("pay", "請pay付", True),
        ("net", "nets net", True),
        ("", "anything", False),
        ("  ", "a  b", False),
    ],
)
def test_words(word: str, text: str, expected: bool) -> None:
    assert holds_for(Words(words=(word,)), text=text) is expected
    assert holds_for(Words(words=("nothing of it", word, "net amounts", "nettle")), text=text) is expected


def test_words_that_begin_alike_are_all_found() -> None:
    words = ("net", "net amount", "nets", "netting", "ne", "§ 5", "§ 51")
    for word in words:
        assert holds_for(Words(words=words), text=f"x {word} x")
    for near in ("netq", "nettin", "n", "netsnetting", "§ 512", "§", "amount"):
        assert not holds_for(Words(words=words), text=f"x {near} x")


def test_longer_counts_characters_not_bytes() -> None:
    answer = '{"a":"üü"}'.encode()
    assert holds(Longer(characters=9), subject(answer, ""))
    assert not holds(Longer(characters=10), subject(answer, ""))


def test_conditions_join() -> None:
    yes, no = Missing(field="gone"), Missing(field="amount")
    assert holds_for(AllOf(conditions=(yes, Not(condition=no))))
    assert not holds_for(AllOf(conditions=(yes, no)))
    assert holds_for(AnyOf(conditions=(no, yes)))
    assert not holds_for(AnyOf(conditions=(no, no)))
    assert needs_text([no, Not(condition=AnyOf(conditions=(yes, Words(words=("a",)))))])
    assert not needs_text([yes, Not(condition=no), Longer(characters=1)])


def test_without_an_answer_everything_is_missing_and_nothing_else_holds() -> None:
    about = subject(None, "urgent")
    assert holds(Missing(field="a"), about)
    assert holds(Words(words=("urgent",)), about)
    assert not holds(AnyOf(conditions=(Above(field="a", limit=Decimal(-1)), Longer(characters=1))), about)


def test_an_answer_that_is_no_json_is_named_without_its_text() -> None:
    for broken in (b"secret", b"\xff", b"[" * 100_000, b"1e99999999999999999999"):
        with pytest.raises(InvalidRequest) as raised:
            read_answer(broken)
        assert "secret" not in str(raised.value)


def test_a_path_reaches_keys_and_items_only() -> None:
    assert list(values_at({"a": {"*": 1, "b": 2}}, "a.*")) == [1]
    assert list(values_at({"a": {"c": 1, "b": 2}}, "a.*")) == [1, 2]
    assert list(values_at([[1], [2]], "*.0")) == [1, 2]
    assert list(values_at([1], "9" * 5000)) == [None]
    assert list(values_at("text", "0")) == [None]


def _at_work(work: Callable[[], object]) -> float:
    """Seconds of this thread's own work: the best of three, so that a busy machine counts for little."""
    taken = []
    for _ in range(3):
        started = time.thread_time()
        work()
        taken.append(time.thread_time() - started)
    return min(taken)


@pytest.mark.parametrize("unit", ["-\n", "\n", "net ", "a-\n", "net\n\n"])
def test_hostile_texts_take_time_in_proportion_to_their_length(unit: str) -> None:
    words = Words(words=("net amount", "net net net x", "a b"))

    def search(characters: int) -> float:
        text = "a-" + unit * (characters // len(unit))
        return _at_work(lambda: holds(words, subject(None, text)))

    # Were it quadratic, it would be a thousand times as long.
    assert search(160_000) < 200 * search(5_000) + 0.5


def test_hundreds_of_words_cost_little_more_than_ten() -> None:
    text = fold(" ".join(f"{chr(97 + n % 26)}{n} clause" for n in range(40_000)))
    few, many = (Words(words=tuple(f"{chr(97 + n % 26)}x{n}" for n in range(count))) for count in (10, 500))

    def search(words: Words) -> float:
        return _at_work(lambda: holds(words, subject(None, text)))

    # One alternative after another would be fifty times as long.
    assert search(many) < 15 * search(few) + 0.1
