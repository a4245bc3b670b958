"""The risk of an answer: the first rule, triggers that raise, confidence, and reasons that never tell values."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.approvals.risk import Assessing, assess
from activities.documents.canonical import canonical
from engross.contracts import (
    Above,
    Approval,
    Assessment,
    AssessRequest,
    BlobRef,
    Confidence,
    Missing,
    Risk,
    Rule,
    TextRef,
    Trigger,
    Words,
)
from tests.activities.fakes import MemoryBlobs

ORDER = list(Risk)
LARGE = Rule(name="large amount", when=Above(field="amount", limit=Decimal(1000)), risk=Risk.HIGH)
HUGE = Rule(name="huge amount", when=Above(field="amount", limit=Decimal(10)), risk=Risk.CRITICAL)
NO_DATE = Trigger(name="no date", when=Missing(field="date"))
BARS = Confidence(passes=0.9, stops=0.1)


def assessed(policy: Approval, answer: Any, text: str = "", model: Risk | None = None) -> Assessment:
    return assess(policy, None if answer is None else json.dumps(answer).encode(), text, model)


def sure(confidence: Any, bars: Confidence = BARS) -> Assessment:
    return assessed(Approval(confidence=bars), {"confidence": confidence})


def test_the_first_rule_that_holds_counts() -> None:
    policy = Approval(rules=(LARGE, HUGE))
    assert assessed(policy, {"amount": 2000}) == Assessment(risk=Risk.HIGH, reasons=("large amount",), priority=2)
    assert assessed(policy, {"amount": 20}) == Assessment(risk=Risk.CRITICAL, reasons=("huge amount",), priority=1)
    assert assessed(policy, {"amount": 2}) == Assessment(risk=Risk.LOW, priority=5)


def test_what_the_rules_leave_open_is_for_the_model() -> None:
    policy = Approval(rules=(LARGE,), otherwise=None, triggers=(NO_DATE,))
    assert assessed(policy, {"amount": 1}).risk is None
    assert assessed(policy, {"amount": 1}).priority == 3
    assert assessed(policy, {"amount": 1}, model=Risk.MEDIUM).risk is Risk.HIGH
    assert assessed(policy, {"amount": 5000, "date": "x"}, model=Risk.LOW).risk is Risk.HIGH
    assert assessed(Approval(otherwise=Risk.LOW), {}, model=Risk.HIGH).risk is Risk.LOW


def test_triggers_raise_one_after_the_other_up_to_critical() -> None:
    urgent = Trigger(name="urgent", when=Words(words=("urgent",)), levels=2)
    policy = Approval(rules=(LARGE,), triggers=(NO_DATE, urgent))
    assert assessed(policy, {"amount": 1}).risk is Risk.MEDIUM
    both = assessed(policy, {"amount": 1}, "URGENT")
    assert (both.risk, both.reasons) == (Risk.CRITICAL, ("no date", "urgent"))
    most = assessed(policy, {"amount": 2000}, "urgent")
    assert (most.risk, most.reasons) == (Risk.CRITICAL, ("large amount", "no date", "urgent"))


@pytest.mark.parametrize(
    ("confidence", "risk", "stops", "priority", "reasons"),
    [
        (0.9, Risk.LOW, False, 5, ()),
        (1, Risk.LOW, False, 5, ()),
        ("0.90", Risk.LOW, False, 5, ()),
        (0.5, Risk.MEDIUM, False, 3, ("confidence 0.50, under 0.90",)),
        (0.4999, Risk.MEDIUM, False, 2, ("confidence 0.49, under 0.90",)),
        (0.8999, Risk.MEDIUM, False, 3, ("confidence 0.89, under 0.90",)),
        (0.1, Risk.MEDIUM, False, 2, ("confidence 0.10, under 0.90",)),
        (0.0999, Risk.MEDIUM, True, 3, ("confidence 0.09, under 0.10",)),
    ],
)
def test_confidence(confidence: Any, risk: Risk, stops: bool, priority: int, reasons: tuple[str, ...]) -> None:
    expected = Assessment(risk=risk, reasons=reasons, confidence=float(confidence), stops=stops, priority=priority)
    assert sure(confidence) == expected


def test_nothing_comes_before_the_first() -> None:
    found = assessed(Approval(otherwise=Risk.CRITICAL, confidence=BARS), {"confidence": 0.2})
    assert (found.risk, found.priority) == (Risk.CRITICAL, 1)


@pytest.mark.parametrize("confidence", [None, True, 1.01, -0.1, 95, "very", "NaN", "Infinity", {}, [], [0.95]])
def test_an_answer_that_does_not_say_how_sure_it_is_is_looked_at(confidence: Any) -> None:
    found = sure(confidence)
    assert (found.risk, found.confidence, found.stops) == (Risk.MEDIUM, None, False)
    assert found.reasons == ("no confidence from 0 to 1",)


def test_the_least_sure_of_several_counts_and_every_one_must_say() -> None:
    policy = Approval(confidence=Confidence(field="lines.*.sure", passes=0.9))
    assert assessed(policy, {"lines": [{"sure": 0.95}, {"sure": 0.3}]}).confidence == 0.3
    assert assessed(policy, {"lines": [{"sure": 0.95}, {"sure": None}]}).risk is Risk.MEDIUM
    assert assessed(policy, {"lines": []}).risk is Risk.MEDIUM


def test_a_bar_with_more_digits_is_told_with_all_of_them() -> None:
    assert sure(0.9051, Confidence(passes=0.9055)).reasons == ("confidence 0.9051, under 0.9055",)
    assert sure(0, Confidence(passes=1e-12)).reasons == ("confidence 0.000000, under 0.000001",)


def test_no_valid_answer_is_looked_at_and_the_document_still_counts() -> None:
    assert assessed(Approval(confidence=BARS), None) == Assessment(
        risk=Risk.MEDIUM, reasons=("no valid answer",), priority=3
    )
    assert assessed(Approval(otherwise=Risk.HIGH), None).risk is Risk.HIGH
    urgent = Trigger(name="urgent", when=Words(words=("urgent",)), levels=3)
    assert assessed(Approval(triggers=(urgent,)), None, "urgent").risk is Risk.CRITICAL


async def test_the_activity_reads_the_text_only_where_words_are_looked_for() -> None:
    blobs = MemoryBlobs()
    page = canonical(["first page", "this is\nurgent"])
    stored = await blobs.put("acme", page.model_dump_json().encode())
    text = TextRef.model_validate(stored.model_dump())
    answer = await blobs.put("acme", b'{"amount": 1}')
    urgent = Trigger(name="urgent", when=Words(words=("is urgent",)))
    request = AssessRequest(policy=Approval(triggers=(urgent,)), answer=answer, text=text)
    found = await Assessing(blobs=blobs).assess_risk(request)
    assert (found.risk, found.reasons) == (Risk.MEDIUM, ("urgent",))

    nowhere = TextRef(tenant="acme", sha256="0" * 64, size=1)
    silent = AssessRequest(policy=Approval(triggers=(NO_DATE,)), answer=answer, text=nowhere)
    assert (await Assessing(blobs=blobs).assess_risk(silent)).risk is Risk.MEDIUM
    nothing = AssessRequest(policy=Approval(otherwise=None), answer=None, text=nowhere, model_risk=Risk.HIGH)
    assert (await Assessing(blobs=blobs).assess_risk(nothing)).risk is Risk.HIGH


async def test_a_blob_that_is_gone_is_an_error_not_a_low_risk() -> None:
    gone = BlobRef(tenant="acme", sha256="0" * 64, size=1)
    text = TextRef(tenant="acme", sha256="0" * 64, size=1)
    with pytest.raises(KeyError):
        await Assessing(blobs=MemoryBlobs()).assess_risk(AssessRequest(policy=Approval(), answer=gone, text=text))


conditions = st.one_of(
    st.builds(Missing, field=st.sampled_from(["amount", "date"])),
    st.builds(Above, field=st.just("amount"), limit=st.decimals(-5, 5, places=1)),
    st.builds(Words, words=st.sampled_from([("urgent",), ("calm",)])),
)
rules = st.builds(Rule, name=st.just("rule"), when=conditions, risk=st.sampled_from(ORDER))
triggers = st.builds(Trigger, name=st.just("trigger"), when=conditions, levels=st.integers(1, 3))
policies = st.builds(
    Approval,
    rules=st.lists(rules, max_size=3).map(tuple),
    otherwise=st.sampled_from([None, *ORDER]),
    triggers=st.lists(triggers, max_size=3).map(tuple),
)
answers = st.none() | st.fixed_dictionaries(
    {"confidence": st.none() | st.floats(-0.5, 1.5)}, optional={"amount": st.integers(-9, 9), "date": st.just("x")}
)
texts = st.sampled_from(["", "urgent", "calm and urgent"])


def level(found: Assessment) -> int:
    return -1 if found.risk is None else ORDER.index(found.risk)


@given(policies, answers, texts, st.sampled_from([None, *ORDER]), triggers, st.floats(0, 1), st.floats(0, 1))
def test_nothing_that_raises_ever_lowers(
    policy: Approval, answer: Any, text: str, model: Risk | None, more: Trigger, one: float, other: float
) -> None:
    plain = assessed(policy, answer, text, model)
    raised = assessed(policy.model_copy(update={"triggers": (*policy.triggers, more)}), answer, text, model)
    assert level(raised) >= level(plain)
    bars = Confidence(passes=max(one, other), stops=min(one, other))
    doubted = assessed(policy.model_copy(update={"confidence": bars}), answer, text, model)
    assert level(doubted) >= level(plain)
    assert doubted.priority <= plain.priority
    assert set(plain.reasons) <= set(raised.reasons)
    assert 1 <= doubted.priority <= 5


@given(policies, answers, texts, st.sampled_from(ORDER), st.sampled_from(ORDER))
def test_a_higher_risk_of_the_model_never_ends_lower(
    policy: Approval, answer: Any, text: str, one: Risk, other: Risk
) -> None:
    low, high = sorted((one, other), key=ORDER.index)
    assert level(assessed(policy, answer, text, low)) <= level(assessed(policy, answer, text, high))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_less_confidence_is_never_less_looked_at(one: float, other: float, bar: float, bar2: float) -> None:
    bars = Confidence(passes=max(bar, bar2), stops=min(bar, bar2))
    less, more = (sure(each, bars) for each in sorted((one, other)))
    assert level(less) >= level(more)
    assert less.stops >= more.stops
    assert less.stops or less.priority <= more.priority
