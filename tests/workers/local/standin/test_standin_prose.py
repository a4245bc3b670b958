"""Sentences of invented documents, lists that are made of them, and choices."""

import time
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from engross.fields import Sources
from workers.local.standin.prose import Prose
from workers.local.standin.rules import answer, summary

MEETING = """\
Ann Lee: Good morning . {vocalsound} Um we have to replace the the pump , uh it leaks oil .
Bob: What will a new pump cost us this year ?
Ann Lee: I'll ask the dealer for prices by next Friday . You have to drain the tank .
Bob: {vocalsound}
Bob: We agreed on the blue pump , and the problem is its price .
"""


class Task(BaseModel):
    task: str = Field(description="What is to be done, by whom it was said or not.")
    owner: str | None = Field(None, description="Person who does it; null when nobody was named.")
    due: str | None = Field(None, description="When it is due.")
    heavy: bool = False


class Said(BaseModel):
    text: str = Field(description="What was said.")
    said_by: str = Field(description="Speaker.")


class Minutes(BaseModel):
    tasks: list[Task] = Field(description="Tasks. Often said as: I'll, have to, will.")
    decisions: list[Said] = Field(description="Decisions. Often said as: we agreed, it's settled.")
    of_bob: list[str] = Field(description="What Bob decides. Often said as: we, we agreed.")
    questions: list[Said] = Field(description="Open questions.")
    prices: list[str] | None = Field(None, description="Prices of dealers. Often said as: dollars.")


def read(model: type[BaseModel], text: str) -> dict[str, Any]:
    return answer(model.model_json_schema(), text)


def test_a_transcript_as_sentences_with_their_speakers() -> None:
    assert [sentence.told for sentence in Prose(MEETING).sentences] == [
        "Ann Lee: Good morning.",
        "Ann Lee: we have to replace the pump, it leaks oil.",
        "Bob: What will a new pump cost us this year?",
        "Ann Lee: I'll ask the dealer for prices by next Friday.",
        "Ann Lee: You have to drain the tank.",
        "Bob: We agreed on the blue pump, and the problem is its price.",
    ]


def test_other_transcripts_and_what_is_none() -> None:
    told = [s.told for s in Prose("[nurse] it hurts a lot .\n[nurse] um 9 uhr geht es\n[x] ja\n[x] so").sentences]
    assert told == ["nurse: it hurts a lot.", "nurse: um 9 uhr geht es", "x: ja", "x: so"]
    form = "Name: Ann\nTotal: 5\nTotal: the the end"
    assert [sentence.told for sentence in Prose(form).sentences] == form.splitlines()
    assert [s.text for s in Prose("A: x y\nB: z\nA: q\nB: r", turns=False).sentences] == [
        "A: x y",
        "B: z",
        "A: q",
        "B: r",
    ]


def test_lists_of_objects_hold_the_sentences_that_the_cues_give_away() -> None:
    minutes = Minutes.model_validate(read(Minutes, MEETING))
    assert [(task.task, task.owner, task.due) for task in minutes.tasks] == [
        ("we have to replace the pump, it leaks oil.", None, None),
        ("I'll ask the dealer for prices by next Friday.", "Ann Lee", "by next Friday"),
        ("You have to drain the tank.", None, None),
    ]
    assert [(each.text[:15], each.said_by) for each in minutes.decisions] == [("We agreed on th", "Bob")]
    assert [(each.text[:15], each.said_by) for each in minutes.questions] == [("What will a new", "Bob")]
    assert [text[:14] for text in minutes.of_bob] == ["Bob: We agreed"]
    assert minutes.prices is None


def test_lists_are_empty_where_nothing_fits() -> None:
    minutes = read(Minutes, "The sun was out all day. Birds were singing in the trees.")
    assert minutes == {"tasks": [], "decisions": [], "of_bob": [], "questions": [], "prices": None}


class Few(BaseModel):
    tasks: list[Task] = Field(max_length=1, description="Tasks. Often said as: have to, by, I'll.")


def test_the_sentences_that_fit_best_stay() -> None:
    assert [task["task"] for task in read(Few, MEETING)["tasks"]] == ["I'll ask the dealer for prices by next Friday."]


class Dated(BaseModel):
    items: list[Task] = Field(description="Tasks. Often said as: shall.")


def test_a_due_time_is_written_as_it_stands() -> None:
    read_from = "Carol shall paint the north fence 3 March 2024 at last. Dave shall rest tomorrow with his friends."
    assert [task["due"] for task in read(Dated, read_from)["items"]] == ["3 March 2024", "tomorrow"]


class Medicine(BaseModel):
    name: str = Field(description="Name of the medicine.")
    kind: Literal["pill", "cream"] = Field(description="pill: swallowed; cream: skin.")


class Medicines(BaseModel):
    medicines: list[Medicine] = Field(max_length=3, description="Medicines. Often said as: take, takes.")


def test_names_are_names_or_nothing() -> None:
    listed = "The patient takes aspirin, fish oil, vitamin d, and iron for her skin."
    found = read(Medicines, listed)["medicines"]
    assert [medicine["name"] for medicine in found] == ["aspirin", "fish oil", "vitamin d"]
    assert {medicine["kind"] for medicine in found} == {"cream"}
    assert read(Medicines, "She takes whatever the doctor says, most days.")["medicines"] == []


class Point(BaseModel):
    text: str
    sources: Sources


class Points(BaseModel):
    points: list[Point] = Field(max_length=6, description="The most important points.")
    title: str = Field(max_length=100, description="Summary in one sentence.")


def test_points_are_central_and_have_a_source() -> None:
    points = Points.model_validate(read(Points, MEETING))
    assert len(points.points) == 3
    assert points.points[0].text == "Ann Lee: we have to replace the pump, it leaks oil."
    assert {source for point in points.points for source in point.sources} == {1}
    assert points.title == "Bob: We agreed on the blue pump, and the problem is its price."


def test_long_texts_have_more_points() -> None:
    text = " ".join(f"Pump {word}{word} leaks near valve {word}." for word in map(str, range(200)))
    assert len(read(Points, text)["points"]) == 6


def test_a_summary_says_different_things() -> None:
    text = "Pump seals leak oil. Pump seals leak now. Pump seals leak here. The harbour budget grew towards summer."
    assert "The harbour budget grew towards summer." in summary(text)


def test_hesitation_goes_and_words_stay() -> None:
    text = "A: Uh I'm sure that um hmm it works , uh-huh , 5 m long .\nB: Mm-hmm the um-brella's the the thing ."
    told = [sentence.text for sentence in Prose(f"{text}\nA: So .\nB: Yes .").sentences]
    assert told == ["I'm sure that it works, uh-huh, 5 m long.", "the um-brella's the thing.", "So.", "Yes."]


class Mood(BaseModel):
    mood: Literal["good", "bad"] = Field(description="good: glad, happy, pleased; bad: angry, unhappy, upset.")
    confidence: float = Field(ge=0, le=1)


def test_confidence_is_high_only_where_one_choice_is_ahead() -> None:
    clear = read(Mood, "I am happy and pleased, very glad indeed")
    assert (clear["mood"], clear["confidence"] > 0.8) == ("good", True)
    weak = read(Mood, "I am upset")
    tie = read(Mood, "I was happy, then I was angry")
    nothing = read(Mood, "Where is the station?")
    assert nothing["confidence"] < tie["confidence"] < 0.5 < weak["confidence"] < clear["confidence"]


class Card(BaseModel):
    label: Literal["late", "lost", "code"] = Field(
        description="late: card in the post; lost: card stolen; code: secret number."
    )


def test_words_that_several_choices_share_count_less() -> None:
    assert read(Card, "my card has a number")["label"] == "code"
    assert read(Card, "my card was stolen")["label"] == "lost"


class Planned(BaseModel):
    repairs: list[str] = Field(description="Repairs of pumps that are planned.")


def test_without_phrases_a_list_holds_what_shares_words_with_its_description() -> None:
    text = "Repairs of both pumps begin on Monday. The pumps are blue and heavy. Lunch was good fun there."
    assert read(Planned, text) == {"repairs": ["Repairs of both pumps begin on Monday."]}


@pytest.mark.parametrize(
    "part", ["mmmm", "a, ", "takes a, b, ", "uh uh ", "A: I'll takes aa-", "x: {", "take a b c d "]
)
def test_endless_documents_cost_little_time(part: str) -> None:
    started = time.process_time()
    for text in (
        part * (1_000_000 // len(part)),
        f"A: {part}\n" * 20_000,
        "".join(f"{part}{n}.\n" for n in range(20_000)),
    ):
        for model in (Points, Minutes, Medicines):
            read(model, text)
    assert time.process_time() - started < 20
