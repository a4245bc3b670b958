import json
import random
import time
from decimal import Decimal
from typing import Any

import pytest

from activities.documents.evidence import MOST_SPANS, MOST_VALUES, find_values


def printed(value: Any, text: str) -> list[str]:
    """What is found of one value, in the order in which it is told."""
    return [text[start:end] for found in find_values({"v": value}, text) for start, end in found.spans]


@pytest.mark.parametrize(
    "form",
    [
        "1234.5",
        "1,234.50",
        "1.234,50",
        "1 234,50",
        "1\u00a0234,50",
        "1\u202f234.50",
        "1'234.50",
        "1’234.50",
        "EUR1,234.50",
        "$1,234.50",
        "１２３４．５０",
    ],
)
def test_amount_in_the_ways_of_many_countries(form: str) -> None:
    for value in (Decimal("1234.50"), 1234.5, "1234.5", Decimal("-1234.5")):
        assert printed(value, f"Total: {form}; paid") == [form.removeprefix("EUR").removeprefix("$")]


@pytest.mark.parametrize("form", ["1234567", "1,234,567", "1.234.567,00", "12,34,567.00", "1 234 567"])
def test_millions(form: str) -> None:
    assert printed(1234567, f"Total {form} EUR") == [form]


@pytest.mark.parametrize(
    "text",
    ["312", "12.5", "3,12", "A12", "12B", "10/12", "12-34", "12:30", "12.03.2021", "1,2", "12.345.6", "0012", "m12²"],
)
def test_no_number_inside_another(text: str) -> None:
    assert printed(12, f"see {text} there") == []


def test_gap_between_columns_is_not_inside_a_number() -> None:
    assert printed(Decimal("1234.50"), "1   234,50") == []
    assert printed(Decimal("234.50"), "1   234,50") == ["234,50"]


def test_amount_after_the_number_of_its_line() -> None:
    assert printed(Decimal("100234.50"), "5 100 234,50") == ["100 234,50"]


def test_part_of_a_number_with_spaces_only_where_there_is_no_other() -> None:
    assert printed(Decimal("234.50"), "1 234,50") == ["234,50"]
    assert printed(Decimal("234.50"), "1 234,50 and 234,50") == ["234,50"]


def test_number_that_says_more_comes_first() -> None:
    assert printed(12, "12 of 12.00") == ["12.00", "12"]


@pytest.mark.parametrize(
    "form",
    [
        "2021-03-04",
        "2021/03/04",
        "04.03.2021",
        "4.3.2021",
        "04. 03. 2021",
        "04/03/2021",
        "03/04/2021",
        "04.03.21",
        "4 March 2021",
        "4th of March, 2021",
        "March 4, 2021",
        "MARCH 4TH 2021",
        "Mar. 4, 2021",
        "4-Mar-21",
        "4. März 2021",
        "4. Mrz. 2021",
        "4 mars 2021",
        "4 marzo 2021",
        "4 de marzo de 2021",
        "4 maart 2021",
        "4 mrt 2021",
    ],
)
def test_date(form: str) -> None:
    assert printed("2021-03-04", f"dated {form}, paid") == [form]
    assert printed("2021-03-04T10:00:00Z", f"dated {form}, paid") == [form]
    assert printed("2021-03-05", f"dated {form}, paid") == []


def test_date_with_an_ordinal_of_another_language() -> None:
    assert printed("2021-08-01", "Le 1er août 2021") == ["1er août 2021"]


@pytest.mark.parametrize("value", ["2021-13-45", "2021-02-30", "0000-00-00"])
def test_what_is_no_date(value: str) -> None:
    assert printed(value, "04.03.2021, 30.02.2021, 45.13.2021") == []


def test_text_whatever_its_case_blanks_accents_and_quotes() -> None:
    text = "MULLER  &\n   SÖHNE\u00a0GMBH, Don’t, Straße 5, e\u0301clair, ﬁne"
    assert printed("Müller & Söhne GmbH", text) == ["MULLER  &\n   SÖHNE\u00a0GMBH"]
    assert printed("don't", text) == ["Don’t"]
    assert printed("STRASSE 5", text) == ["Straße 5"]
    assert printed("éclair", text) == ["e\u0301clair"]
    assert printed("fine", text) == ["ﬁne"]


def test_text_as_a_whole_word() -> None:
    assert printed("free", "freedom carefree free, free.fr") == ["free", "free"]
    assert printed("INV-2021", "INV-2021-05 INV-20210 XINV-2021") == []
    assert printed("株式会社", "東京株式会社御中") == ["株式会社"], "written without spaces"
    assert printed("हिन्द", "हिन्दी") == [], "a vowel sign is part of the word"


def test_text_as_it_is_written_comes_first() -> None:
    assert printed("Open", "open OPEN Open") == ["Open", "open", "OPEN"]


def test_what_is_not_looked_for() -> None:
    values: tuple[Any, ...] = (
        True,
        False,
        None,
        "",
        " ",
        "ab",
        "DE",
        7,
        "7",
        float("nan"),
        float("inf"),
        [],
        {},
        "\u0301\u0301\u0301",
    )
    for value in values:
        assert printed(value, "true false none null ab DE 7 7.") == []


def test_paths_and_offsets() -> None:
    text = "\U0001f600 Oil 12.50\nVinegar 3.00"
    answer = {
        "lines": [{"name": "Oil", "total": 12.5}, {"name": "Vinegar", "total": 3}],
        "tags": ["oil"],
        "seller": "no",
    }
    found = {value.field: [tuple(span) for span in value.spans] for value in find_values(answer, text)}
    assert found == {
        "lines.0.name": [(2, 5)],
        "lines.0.total": [(6, 11)],
        "lines.1.name": [(12, 19)],
        "lines.1.total": [(20, 24)],
        "tags.0": [(2, 5)],
    }
    assert next(iter(found)) == "lines.0.name", "in the order of the answer"
    assert [value.field for value in find_values("Oil", text)] == [""]


def test_limits() -> None:
    [found] = find_values({"v": "word"}, "word " * 1000)
    assert len(found.spans) == MOST_SPANS
    assert len(find_values(["word"] * (MOST_VALUES + 5), "a word")) == MOST_VALUES


def test_needle_in_very_many_longer_words_is_given_up() -> None:
    assert printed("word", "wordy " * 20_000 + "word") == []
    assert printed("word", "wordy " * 2_000 + "word") == ["word"]


def test_hostile_answers_and_texts_end_soon() -> None:
    deep: Any = "word"
    for _ in range(5000):
        deep = [deep]
    texts = [
        "1 " * 20_000,
        "123 " * 10_000,
        "1.234." * 8_000,
        "9" * 100_000,
        "1/" * 20_000,
        "4 de " * 10_000,
        "-" * 100_000,
    ]
    before = time.process_time()
    for text in texts:
        find_values([deep, Decimal("1e999999999"), 10**5000, "9" * 100_000, "1" * 19, *["4 d"] * 500], text)
    assert time.process_time() - before < 10, "seconds of CPU; far less unless something grows by the square"


def test_many_values_in_a_long_text_are_fast() -> None:
    seed = random.randrange(1 << 32)  # noqa: S311
    print("seed", seed)  # noqa: T201
    chance = random.Random(seed)  # noqa: S311
    words = ["".join(chance.choices("abcdefghijklmnoprstuvé", k=chance.randint(2, 9))) for _ in range(500)]
    amounts = [f"{chance.randrange(10**6) / 100:,.2f}" for _ in range(500)]
    text = " ".join(chance.choices([*words, *amounts], k=20_000))[:100_000]
    answer = {
        "lines": [{"name": chance.choice(words), "amount": json.loads(chance.choice(amounts).replace(",", ""))}] * 25
    }
    best = min(_seconds(answer, text) for _ in range(5))
    assert best < 1, "seconds; it takes a tenth of one on a quiet machine"


def _seconds(answer: Any, text: str) -> float:
    before = time.process_time()
    find_values(answer, text)
    return time.process_time() - before
