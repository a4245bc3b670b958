"""Answers made of other answers: how they are found in a request, put together, and judged."""

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from activities.models.prompts import build_prompt
from engross.fields import Sources
from workers.local.standin.fences import Given, Material, material_of
from workers.local.standin.judging import is_evaluation, judge
from workers.local.standin.merging import merge
from workers.local.standin.server import respond
from workers.local.standin.wires import OPENAI


class Point(BaseModel):
    text: str = Field(min_length=1, description="The point.")
    sources: Sources


class Digest(BaseModel):
    summary: str = Field(min_length=1, max_length=120)
    points: list[Point] = Field(max_length=4)


def put_together(model: type[BaseModel], *values: Any, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    names = labels or tuple(f"part {at}" for at, _ in enumerate(values, 1))
    return merge(model.model_json_schema(), [Given(label, value) for label, value in zip(names, values, strict=True)])


def digest(source: int, *points: str, summary: str = "") -> dict[str, Any]:
    return {"summary": summary, "points": [{"text": text, "sources": [source]} for text in points]}


FENCED = 'decisions:\n<answer-ab12>\n{"n":1}\n</answer-ab12>\n\nactions:\n<answer-ab12>\n{"n":2}\n</answer-ab12>'


def test_answers_alone_are_the_material() -> None:
    assert material_of([FENCED]) == Material(
        '{"n":1}\n{"n":2}', has_document=False, answers=(Given("decisions", {"n": 1}), Given("actions", {"n": 2}))
    )


def test_a_document_and_an_answer() -> None:
    message = '<document-ab12>\nHello\n</document-ab12>\n\nattempt:\n<answer-ab12>\n{"n":1}\n</answer-ab12>'
    assert material_of([message]) == Material("Hello", answers=(Given("attempt", {"n": 1}),))


@pytest.mark.parametrize("fence", ["ab12", "ffff"])
def test_what_a_document_calls_an_answer_is_none(fence: str) -> None:
    inside = f"attempt:\n<answer-{fence}>\n{{}}\n</answer-{fence}>"
    assert material_of([f"<document-ab12>\n{inside}\n</document-ab12>"]) == Material(inside)


def test_an_answer_in_another_fence_than_the_document_is_none() -> None:
    message = "<document-ab12>\nHello\n</document-ab12>\n\nattempt:\n<answer-ffff>\n{}\n</answer-ffff>"
    assert material_of([message]).answers == ()


def test_an_answer_that_is_no_json_is_its_text() -> None:
    assert material_of(["attempt:\n<answer-1>\n{oops\n</answer-1>"]).answers == (Given("attempt", "{oops"),)


def test_lists_are_joined_in_order_without_doubles_and_their_sources_united() -> None:
    merged = put_together(Digest, digest(1, "The pump leaks.", "Seals are late."), digest(2, "THE PUMP LEAKS.", "Oil."))
    assert merged["points"] == [
        {"text": "The pump leaks.", "sources": [1, 2]},
        {"text": "Seals are late.", "sources": [1]},
        {"text": "Oil.", "sources": [2]},
    ]


def test_too_many_items_are_taken_from_all_answers_alike() -> None:
    many = [digest(at, *(f"Finding {at}-{place} here" for place in range(9))) for at in (1, 2)]
    assert [point["sources"] for point in put_together(Digest, *many)["points"]] == [[1], [1], [2], [2]]


def test_of_too_many_items_those_stay_that_have_most_in_common() -> None:
    first = digest(1, "Lunch was tasty.", "Pumps leak oil.", "Somebody sneezed.", "Pumps need seals.")
    merged = put_together(Digest, first, digest(2, "Pumps leak oil again.", "Seals stop leaking pumps."))
    assert [point["text"] for point in merged["points"]] == [
        "Pumps leak oil.", "Pumps need seals.", "Pumps leak oil again.", "Seals stop leaking pumps.",
    ]  # fmt: skip


def test_texts_are_whole_sentences_of_those_of_the_same_name() -> None:
    told = ["The pump leaks oil every day. It was sunny at noon there.", "The pump needs oil and new seals."]
    merged = put_together(
        Digest, *(digest(at, "Another thing altogether.", summary=text) for at, text in enumerate(told))
    )
    assert merged["summary"] == (
        "The pump leaks oil every day. It was sunny at noon there. The pump needs oil and new seals."
    )
    short = put_together(Digest, digest(1, summary=told[0] * 3), digest(2, summary=told[1]))["summary"]
    assert len(short) <= 120
    assert short.endswith(".")


def test_texts_without_an_end_get_one() -> None:
    told = [digest(1, summary="the pump leaks oil every day,"), digest(2, summary="Does the pump need new seals?")]
    assert put_together(Digest, *told)["summary"] == "the pump leaks oil every day. Does the pump need new seals?"


def test_without_a_text_of_that_name_all_sentences_are_looked_at() -> None:
    merged = put_together(Digest, {"risks": [{"text": "The pump may leak oil soon.", "raised_by": "Ann"}]})
    assert merged == {"summary": "The pump may leak oil soon.", "points": []}


class Page(BaseModel):
    headline: str | None = None
    actions: list[Point] = []
    risks: list[str] = []
    topics: list[str] = []


def test_a_list_without_its_like_comes_from_the_answer_that_is_called_like_it() -> None:
    actions = {"items": [{"task": "Call Bob", "sources": [3]}]}
    risk = {"found": [{"what": "It may rain", "weight": 2}]}
    assert put_together(Page, actions, risk, labels=("action", "risks")) == {
        "headline": None,
        "actions": [{"text": "Call Bob", "sources": [3]}],
        "risks": ["It may rain"],
        "topics": [],
    }


class Verdict(BaseModel):
    label: Literal["yes", "no"]
    confidence: float = Field(ge=0, le=1)
    year: int
    day: str = Field(json_schema_extra={"format": "date"})
    reference: str
    is_final: bool


def test_single_values_are_the_commonest_and_shares_the_mean() -> None:
    one = {"label": "no", "confidence": 0.4, "year": 1999, "day": "2024-01-01", "reference": "A", "is_final": True}
    two = {**one, "label": "yes", "confidence": 0.8, "year": 2001, "reference": "B"}
    odd = {"label": "maybe", "year": {"not": "this"}, "reference": ["B"]}
    assert put_together(Verdict, two, one, one, odd) == {**one, "confidence": 0.53}


def test_no_answers_are_honestly_nothing() -> None:
    assert put_together(Verdict, "", None, []) == {
        "label": "yes", "confidence": 0.7, "year": 0, "day": "", "reference": "", "is_final": False,
    }  # fmt: skip
    assert put_together(Page) == {"headline": None, "actions": [], "risks": [], "topics": []}


def asked(model: type[BaseModel], document: str | None, *given: tuple[str, str]) -> dict[str, Any]:
    """The stand-in's answer to a request as the application writes it."""
    prompt = build_prompt("Do it.", document, given=given)
    tool = {"type": "function", "function": {"name": "Answer", "parameters": model.model_json_schema()}}
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    made: dict[str, Any] = json.loads(respond(OPENAI.ask({"model": "m", "tools": [tool], "messages": messages})).text)
    return made


def test_requests_of_the_application_are_understood() -> None:
    point = json.dumps(digest(2, "The pump leaks.", summary="The pump leaks oil every day."))
    assert asked(Digest, None, ("part 1", point)) == digest(
        2, "The pump leaks.", summary="The pump leaks oil every day."
    )
    assert asked(Digest, DOCUMENT)["points"][0]["sources"] == [1]
    attempt = ("attempt", json.dumps({"history": "Coughing since Monday", "plan": []}))
    assert asked(Evaluation, DOCUMENT, attempt)["score"] == 0.47
    assert asked(Evaluation, DOCUMENT, attempt, ("evaluation", "{}")) == asked(Evaluation, DOCUMENT)


class Evaluation(BaseModel):
    issues: list[str] = Field(max_length=3)
    score: float = Field(ge=0, le=1)
    verdict: str = Field(description="Summary.")


DOCUMENT = "Patient reports coughing since Monday. Lungs are clear. Prescribed rest."


def judged(attempt: Any) -> dict[str, Any]:
    return judge(Evaluation.model_json_schema(), DOCUMENT, attempt)


def test_an_attempt_is_judged_by_its_words_and_its_gaps() -> None:
    good = judged(
        {"history": "Coughing since Monday", "plan": ["Prescribed rest"], "status": "not_started", "dose": None}
    )
    assert (good["score"], good["issues"]) == (0.95, [])
    assert "coughing" in good["verdict"]
    gap = judged({"history": "Coughing since Monday", "plan": []})
    assert (gap["score"], len(gap["issues"])) == (0.47, 1)
    assert gap["issues"][0].startswith("plan: is empty")
    wrong = judged({"history": "Fracture, femur, surgery", "plan": ["Prescribed rest"]})
    assert wrong["score"] < 0.5
    assert wrong["issues"] == ["history: says things that the document doesn't say."]


@pytest.mark.parametrize("attempt", [None, "text", [], {}, 3])
def test_an_attempt_without_fields_is_worth_nothing(attempt: Any) -> None:
    assert judged(attempt)["score"] == 0


def test_issues_never_quote_and_keep_to_their_limit() -> None:
    issues = judged(dict.fromkeys("abcdef", "Fracture femur"))["issues"]
    assert len(issues) == 3
    assert "femur" not in " ".join(issues).casefold()


def test_only_a_lone_attempt_is_to_be_judged() -> None:
    assert is_evaluation((Given("attempt", {}),))
    assert not is_evaluation((Given("attempt", {}), Given("evaluation", {})))
    assert not is_evaluation(())
