"""The activity `assess_risk`: what rules, triggers and confidence make of an answer, by code alone."""

import asyncio
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from temporalio import activity

from activities.approvals.conditions import Subject, holds, needs_text, number, subject, values_at
from activities.documents.canonical import CanonicalText
from activities.ports import Blobs
from engross.contracts import Approval, Assessment, AssessRequest, Confidence, Risk

_PRIORITIES: Final = {Risk.CRITICAL: 1, Risk.HIGH: 2, Risk.MEDIUM: 3, Risk.LOW: 5}
_UNKNOWN_PRIORITY: Final = 3
# Enough to tell a confidence from its bar, and few enough to read.
_LEAST_PLACES: Final = 2
_MOST_PLACES: Final = 6


@dataclass(frozen=True)
class Sureness:
    """What an answer's confidence says. `doubt` is why somebody must look, empty when nobody must for that reason."""

    confidence: Decimal | None = None
    doubt: str = ""
    stops: bool = False
    is_urgent: bool = False


class Assessing:
    """Reads the answer, and the document's text where the policy asks for words in it."""

    def __init__(self, *, blobs: Blobs) -> None:
        self._blobs = blobs

    @activity.defn
    async def assess_risk(self, request: AssessRequest) -> Assessment:
        """Raises the `DocumentError` that says why a blob cannot be read, `ServiceUnavailable`, `InvalidRequest`."""
        policy = request.policy
        answer = await self._blobs.get(request.answer) if request.answer else None
        whens = [rule.when for rule in policy.rules] + [trigger.when for trigger in policy.triggers]
        text = await self._blobs.get(request.text) if needs_text(whens) else None
        return await asyncio.to_thread(_assess, policy, answer, text, request.model_risk)


def assess(policy: Approval, answer: bytes | None, text: str, model_risk: Risk | None = None) -> Assessment:
    """What `policy` makes of an answer (JSON; None when none was valid) to a document's text.

    Raises `InvalidRequest` when the answer isn't JSON.
    """
    about = subject(answer, text)
    risk, reasons = _by_rules(policy, about, model_risk)
    for trigger in policy.triggers:
        if holds(trigger.when, about):
            risk = risk and risk.raised(trigger.levels)
            reasons.append(trigger.name)
    sure = sureness(policy.confidence, about) if answer is not None else Sureness(doubt="no valid answer")
    if sure.doubt:
        risk = Risk.MEDIUM if risk is Risk.LOW else risk
        reasons.append(sure.doubt)
    priority = _PRIORITIES[risk] if risk else _UNKNOWN_PRIORITY
    return Assessment(
        risk=risk,
        reasons=tuple(reasons),
        confidence=None if sure.confidence is None else float(sure.confidence),
        stops=sure.stops,
        priority=max(1, priority - sure.is_urgent),
    )


def sureness(bars: Confidence | None, about: Subject) -> Sureness:
    """How the answer's confidence stands to the bars; the lowest counts where the field's path leads to several."""
    if bars is None:
        return Sureness()
    found = [number(value) for value in values_at(about.answer, bars.field)]
    known = [each for each in found if each is not None and 0 <= each <= 1]
    if not known or len(known) < len(found):
        return Sureness(doubt="no confidence from 0 to 1")
    # The bars as people wrote them: the double of 0.9 is a little more than 0.9.
    confidence, passes, stops = min(known), Decimal(str(bars.passes)), Decimal(str(bars.stops))
    if confidence < stops:
        return Sureness(confidence, _under(confidence, stops), stops=True)
    if confidence >= passes:
        return Sureness(confidence)
    return Sureness(confidence, _under(confidence, passes), is_urgent=2 * confidence < stops + passes)


def _assess(policy: Approval, answer: bytes | None, text: bytes | None, model_risk: Risk | None) -> Assessment:
    return assess(policy, answer, CanonicalText.model_validate_json(text).text if text else "", model_risk)


def _by_rules(policy: Approval, about: Subject, model_risk: Risk | None) -> tuple[Risk | None, list[str]]:
    for rule in policy.rules:
        if holds(rule.when, about):
            return rule.risk, [rule.name]
    return policy.otherwise or model_risk, []


def _under(confidence: Decimal, bar: Decimal) -> str:
    """Rounded apart, so that what is under the bar never looks as if it reached it."""
    written = -int(bar.normalize().as_tuple().exponent)
    step = Decimal(1).scaleb(-min(max(_LEAST_PLACES, written), _MOST_PLACES))
    shown, over = confidence.quantize(step, ROUND_FLOOR), bar.quantize(step, ROUND_CEILING)
    return f"confidence {shown:f}, under {over:f}"
