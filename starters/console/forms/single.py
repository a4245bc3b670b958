"""The field of a single value, and of JSON where no fields fit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from starters.console.forms.exact import dumps
from starters.console.forms.fields import Choice, Field
from starters.console.forms.names import join
from starters.console.forms.scalars import ABSENT, Unread, Unreadable, code_of, normal, read_text, text_of
from starters.console.forms.shapes import Kind, Shape
from starters.console.forms.told import Told

_LONG: Final = 200  # most characters, from which on a text gets lines
_LINE: Final = 72  # characters that fit beside a document
_HALF: Final = 64  # most characters of a text for which half the width is enough
_SHORT: Final = 28  # most characters for that, where the schema doesn't say how many there may be
_SEGMENTS: Final = 18  # most characters of all options together, for them to stand beside each other
_MOST_ROWS: Final = 12
_CLOCK: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?")
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?")
_SENTENCE: Final = re.compile(r"(.+?\S\S[.!?])\s+([A-ZÀ-Þ].+)", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a value belongs: its name in the form, its dotted path in the answer, and what it is called.

    `evidence` is the path that it had in what the model proposed; None for what was added.
    In a template (`is_blank`) there is no value yet, hence nothing to compare with and nothing to point at.
    """

    name: str
    path: str = ""
    label: str = ""
    required: bool = True
    is_blank: bool = False
    evidence: str | None = ""

    def child(self, part: str | int, label: str, *, required: bool) -> "Place":
        evidence = None if self.evidence is None else _dotted(self.evidence, part)
        return Place(join(self.name, part), self.inner(part), label, required, self.is_blank, evidence)

    def inner(self, part: str | int) -> str:
        """The path of `part` within this place."""
        return _dotted(self.path, part)

    @property
    def is_proposed(self) -> bool:
        """Whether there may be something to compare with."""
        return not self.is_blank and self.evidence is not None

    def blank(self) -> "Place":
        return replace(self, is_blank=True)

    def was(self, shape: Shape, value: Any) -> str | None:
        """What to send along for a group or a list that isn't there, unless that is null and may be."""
        if self.is_blank:
            return None
        if value is ABSENT:
            return ""
        return "null" if value is None and not shape.nullable else None

    def dressed(self, field: Field, shape: Shape) -> Field:
        """`field` with the words that explain it."""
        first, rest = _sentences(shape.description)
        return replace(
            field,
            evidence=normal(self.evidence or "") if self.is_proposed else "",
            help=first,
            more=rest,
            required=self.required and not shape.nullable,
            nullable=shape.nullable,
        )


def _dotted(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)


def single(shape: Shape, place: Place, value: Any, before: Any, told: Told) -> Field:
    """The field of one value; JSON where it isn't one, or not one that the schema asks for."""
    text = text_of(shape, value) if shape.is_scalar else None
    if text is None:
        return _json(shape, place, value, before, told)
    widget = _widget(shape, place, value, text)
    old = text_of(shape, before)
    options = _options(shape, value, text)
    field = Field(
        widget,
        place.name,
        place.label,
        text=normal(text),
        initial=None if not place.is_proposed else dumps(before) if old is None else normal(old),
        was=None if place.is_blank else _was(shape, value, text, required=place.required, widget=widget),
        options=options,
        errors=() if place.is_blank else told.within(place.path),
        wide=widget == "area" or (shape.kind is Kind.TEXT and _is_wide(shape, text)),
        rows=_rows(text),
        whole=shape.kind is Kind.INTEGER,
    )
    return place.dressed(field, shape)


def _json(shape: Shape, place: Place, value: Any, before: Any, told: Told) -> Field:
    text = _json_text(value)
    field = Field(
        "json",
        place.name,
        place.label,
        text=text,
        initial=_json_text(before) if place.is_proposed else None,
        errors=() if place.is_blank else told.within(place.path),
        wide=True,
        rows=_rows(text),
    )
    return place.dressed(field, shape)


def _json_text(value: Any) -> str:
    """Nothing for what isn't there; what can't be read stays as it was typed."""
    if value is ABSENT:
        return ""
    return normal(value) if isinstance(value, Unread) else dumps(value, indent=2)


def _was(shape: Shape, value: Any, text: str, *, required: bool, widget: str) -> str | None:
    """The value itself, unless the text alone is read as exactly that. Browsers write some texts in their own way."""
    if isinstance(value, Unread):
        return None
    exact = "" if value is ABSENT else dumps(value)
    if widget in ("time", "datetime-local") or (widget == "radios" and not text):
        return exact
    try:
        again = read_text(shape, text, required=required)
    except Unreadable:
        return exact
    return None if ("" if again is ABSENT else dumps(again)) == exact else exact


def _widget(shape: Shape, place: Place, value: Any, text: str) -> str:
    if shape.kind is Kind.BOOLEAN:
        plain = isinstance(value, bool) or (place.is_blank and value is ABSENT)
        return "check" if plain and not shape.nullable else "choice"
    if shape.kind is Kind.CHOICE:
        return "radios" if _is_short(shape, place, value, text) else "choice"
    if "\n" in text or "\r" in text:
        return "area"
    if shape.kind in (Kind.NUMBER, Kind.INTEGER):
        return "number"
    if shape.kind in (Kind.DATE, Kind.TIME, Kind.DATETIME):
        return _moment(shape.kind, text)
    room = shape.most or 0
    return "area" if room > _LONG or len(text) > _LINE else "text"


def _moment(kind: Kind, text: str) -> str:
    """Browsers show only what they can read in a field for dates; everything else must be seen as it is."""
    if kind is Kind.DATE:
        return "date" if not text or _is_date(text) else "text"
    if kind is Kind.TIME:
        return "time" if not text or _is_clock(_CLOCK, text) else "text"
    return "datetime-local" if _is_clock(_LOCAL, text) and _is_date(text[:10]) else "text"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_clock(form: re.Pattern[str], text: str) -> bool:
    hours, minutes, seconds = _parts(text)
    return form.fullmatch(text) is not None and hours < "24" and minutes < "60" and seconds < "60"


def _parts(text: str) -> tuple[str, str, str]:
    clock = [*text.rsplit("T", 1)[-1].split(":"), "", "", ""]
    return clock[0], clock[1], clock[2]


def _is_wide(shape: Shape, text: str) -> bool:
    return len(text) > _SHORT if shape.most is None else shape.most > _HALF


def _is_short(shape: Shape, place: Place, value: Any, text: str) -> bool:
    labels = [_label(option) for option in shape.options]
    known = place.is_blank or text in [code_of(shape, option) for option in shape.options]
    return (
        known and not shape.nullable and place.required and 2 <= len(labels) <= 4 and sum(map(len, labels)) <= _SEGMENTS
    )


def _options(shape: Shape, value: Any, text: str) -> tuple[Choice, ...]:
    if shape.kind is Kind.BOOLEAN:
        options = [Choice("true", "Yes"), Choice("false", "No")]
    elif shape.kind is Kind.CHOICE:
        options = [Choice(code_of(shape, option), _label(option)) for option in shape.options]
    else:
        return ()
    if text and text not in [option.code for option in options]:
        options.append(Choice(text, f"{_label(value)} (not allowed)"))
    return tuple(Choice(normal(option.code), normal(option.label)) for option in options)


def _label(option: object) -> str:
    if not isinstance(option, str):
        return dumps(option) if not isinstance(option, bool) else "Yes" if option else "No"
    words = option.replace("_", " ")
    return words[:1].upper() + words[1:] if words.islower() else option


def _sentences(description: str) -> tuple[str, str]:
    """The first sentence, and the rest: what is written for a model can be long."""
    text = " ".join(description.split())
    found = _SENTENCE.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def _rows(text: str) -> int:
    lines: Sequence[str] = text.split("\n")
    return max(2, min(_MOST_ROWS, sum(1 + len(line) // _LINE for line in lines)))
