"""Lists out of a document: the sentences that fit what a list asks for, and what each of them is as an item."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from . import values
from .fold import fold
from .prose import Prose, Sentence, behind, cue, words
from .shapes import Property, Schema, properties

Fill = Callable[[Property, str], Any]  # the value of a property in a text

_MOST, _MOST_EVER = 10, 50  # items where the schema sets no limit, and with any
_CENTRAL = re.compile(r"\b(?:points?|highlights?|topics?|important|main|key|central|summar\w+|facts?|sentences?)\b")
_PERSON = re.compile(r"\b(?:speaker|owner|person|who|assignee|assigned|author|responsible|by)\b")
_WHEN = re.compile(r"\b(?:due|deadline|when|since|until|date)\b")
_TIME = re.compile(
    r"\b(?:(?:by|before|until|since|on|in) )?(?:today|tonight|tomorrow|yesterday"
    r"|(?:(?:the )?(?:next|last|this)|half an?|an?|\d{1,3}|two|three) (?:meeting|hour|day|week|month|quarter|year)s?"
    r"|(?:(?:next|last|this) )?(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_FEWEST = 2  # words that carry weight in a question; that a sentence shares with a description without phrases
_NAME = re.compile(r"(?:\w+_)?name")
_PART = r"[\w-]{1,40}(?: [\w-]{1,40}){0,2}"  # of an enumeration: up to three words
_ENUMERATION = re.compile(
    rf"\W{{0,3}}({_PART}(?:, (?!and |or ){_PART}){{1,20}},? (?:and|or) {_PART})(?=\W{{0,3}}$|[,.;]"
    r"| (?:for|to|in|with|at|on|every|daily|when|because)\b)"
)
_OWNER = re.compile(r"\b(?:owner|assignee|assigned|responsible)\b")
_MYSELF = re.compile(r"\b(?:i|ich|je|io|ik)\b")


def fitting(prop: Property, prose: Prose) -> list[Sentence]:
    """The sentences that a list is made of, fewer of a short text; none where none fits."""
    least, most = prop.spec.get("minItems", 0), prop.spec.get("maxItems", _MOST)
    count = min(most, _MOST_EVER, max(least, 3 + len(prose.sentences) // 25))
    asks = bool(re.search(r"\bquestions?\b", prop.words))
    if prop.said:
        said, speakers = cue(prop.said), _speakers(prop, prose)
        barred = {s.text for s in prose.sentences if (s.is_question and not asks) or s.speaker not in speakers}
        return prose.best(count, lambda sentence: 0 if sentence.text in barred else said(sentence))
    if asks:
        return prose.best(count, lambda sentence: sentence.is_question and len(sentence.words) >= _FEWEST)
    if _CENTRAL.search(prop.words) or (least and prop.kind == "array"):
        return prose.central(count)
    asked = words(prop.words)
    return prose.best(count, lambda sentence: max(0, len(asked & sentence.words) - _FEWEST + 1))


def _speakers(prop: Property, prose: Prose) -> set[str]:
    """Whose words a list is made of: those of the speakers that its description names, else of all."""
    everybody = {sentence.speaker for sentence in prose.sentences}
    named = {each for each in everybody if each and re.search(rf"\b{re.escape(fold(each))}\b", prop.words)}
    return named or everybody


def items(prop: Property, root: Schema, prose: Prose, fill: Fill) -> Any:
    """The list `prop` of objects, each of one sentence; or of a name, where names are asked for."""
    one = prop.item(root)
    parts = properties(one.spec, root)
    main = main_text(parts)
    found = fitting(prop, prose)
    if main is None or not _NAME.fullmatch(main.name):
        return [_item(parts, main, each, each.text, fill) for each in found] or prop.nothing
    named = {name: each for each in found for name in enumerated(each.text, prop.said)}
    made = [_item(parts, main, each, name, fill) for name, each in named.items()]
    return made[: prop.spec.get("maxItems", _MOST)] or prop.nothing


def _item(parts: list[Property], main: Property | None, sentence: Sentence, text: str, fill: Fill) -> dict[str, Any]:
    """What it is (`text`), who says it, when it is to be, and whatever else can be read from the sentence."""
    made: dict[str, Any] = {}
    alone = text != sentence.text or any(is_person(part) for part in parts)
    for part in parts:
        if part is main:
            made[part.name] = part.fit(text if alone else sentence.told)
        elif is_person(part):
            made[part.name] = part.fit(_who(part, sentence)) or part.nothing
        elif is_when(part):
            made[part.name] = when(sentence.text) or part.nothing
        else:
            made[part.name] = fill(part, sentence.text)
    return made


def _who(part: Property, sentence: Sentence) -> str:
    """The speaker; as the owner of a task only one who says "I"."""
    return "" if _OWNER.search(part.words) and not _MYSELF.search(fold(sentence.text)) else sentence.speaker


def enumerated(text: str, phrases: Sequence[str]) -> list[str]:
    """The names that follow one of the phrases, as in "takes aspirin, fish oil, and iron"; at least three."""
    listed = next(filter(None, map(_ENUMERATION.match, behind(text, phrases))), None)
    return [name.strip() for name in re.split(r",? (?:and|or) |, ", listed[1])] if listed else []


def main_text(parts: list[Property]) -> Property | None:
    """Of an item's properties the one that holds what it is: the first free text that must be there."""
    free = [part for part in parts if part.kind == "string" and not part.choices and not part.spec.get("format")]
    free = [part for part in free if not is_person(part) and not is_when(part)]
    return next((part for part in free if not part.spec.get("nullable")), next(iter(free), None))


def is_person(part: Property) -> bool:
    """Whether it names who said or does something."""
    head = " ".join(part.words.split()[: len(part.name.split("_")) + 3])  # what it is; what follows may say more
    return part.kind == "string" and bool(_PERSON.search(head))


def is_when(part: Property) -> bool:
    """Whether it says when, in words."""
    plain = part.kind == "string" and not part.spec.get("format")
    return plain and bool(_WHEN.search(part.name.replace("_", " ")))


def when(text: str) -> str | None:
    """A time as it is written: a date, a day, "next week"."""
    spans = [(start, end) for start, end, _ in values.dates(text)] or [m.span() for m in _TIME.finditer(fold(text))]
    return next((text[start:end] for start, end in spans), None)
