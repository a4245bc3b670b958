"""From a schema and a value to the fields of a form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel

from starters.console.forms.exact import dumps
from starters.console.forms.fields import Complaint, Field, extra_name, key_name
from starters.console.forms.limits import MOST_DEPTH, MOST_FIELDS, MOST_ITEMS
from starters.console.forms.names import KEY, MORE, ROOT, join
from starters.console.forms.scalars import ABSENT, Rows, Unread, normal
from starters.console.forms.shapes import Kind, Raw, Shape, Shapes, label_of
from starters.console.forms.single import Place, single
from starters.console.forms.told import Told

_PLURALS: Final = (("ies", "y"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("ss", "ss"), ("s", ""))
_TEXT: Final = Shape(Kind.TEXT)
_KEPT_BACK: Final = 200  # fields that each level leaves to those around it, so that one long list can't take them all


@dataclass(frozen=True)
class Form:
    """`root` has the fields; `complaints` is what is wrong, field by field, for the summary at the top."""

    root: Field
    complaints: tuple[Complaint, ...] = ()


def build_form(
    model: type[BaseModel],
    value: Any,
    *,
    before: Any = ABSENT,
    origins: Mapping[str, Sequence[int | None]] | None = None,
    errors: Mapping[str, Sequence[str]] | None = None,
) -> Form:
    """The form that shows `value` (parsed JSON, as `exact.loads` gives it, or what `parse_form` made of a form).

    `before` is what the model proposed, where that is another value: what differs from it is marked as changed.
    `origins` says, by the path of a list, which of the proposed items each item is; `parse_form` has it.
    `errors` has messages by dotted path; those that belong to no field stand in the summary alone.
    """
    shapes, told = Shapes(model), Told(errors or {})
    builder = _Builder(shapes, told, origins or {})
    place = Place(name=ROOT, label=label_of("", shapes.of(shapes.root).title), required=True)
    root = builder.field(shapes.root, place, value, value if before is ABSENT else before, 0)
    return Form(root, told.complaints(root))


class _Builder:
    def __init__(self, shapes: Shapes, told: Told, origins: Mapping[str, Sequence[int | None]]) -> None:
        self._shapes = shapes
        self._origins = origins
        self._told = told
        self._counts = {False: 0, True: 0}  # of fields with a value, and of those in templates

    def field(self, raw: Raw, place: Place, value: Any, before: Any, depth: int) -> Field:
        """The field for `value`, with all fields inside it."""
        shape, count = self._shapes.of(raw), self._counts[place.is_blank]
        if not shape.is_scalar and self._is_room(place, depth):
            found = self._compound(shape, place, value, before, depth)
            if found is not None and self._is_room(place, depth):
                return found
            self._counts[place.is_blank] = count
        self._counts[place.is_blank] += 1
        if place.is_blank and value is ABSENT:
            value = raw.get("default", ABSENT)
        return single(shape, place, value, before, self._told)

    def _is_room(self, place: Place, depth: int) -> bool:
        return depth <= MOST_DEPTH and self._counts[place.is_blank] < MOST_FIELDS - _KEPT_BACK * depth

    def _compound(self, shape: Shape, place: Place, value: Any, before: Any, depth: int) -> Field | None:
        """None where the value isn't what the schema asks for, or there is too much of it."""
        self._counts[place.is_blank] += 1
        nothing = value is ABSENT or value is None
        if shape.kind is Kind.GROUP and (nothing or isinstance(value, dict)):
            return self._group(shape, place, value, before, depth)
        if shape.kind is Kind.LIST and (nothing or (isinstance(value, list) and not isinstance(value, Rows))):
            return self._list(shape, place, value, before, depth)
        if shape.kind is Kind.PAIRS and (nothing or isinstance(value, dict | Rows)):
            return self._pairs(shape, place, value, before, depth)
        return None

    def _group(self, shape: Shape, place: Place, value: Any, before: Any, depth: int) -> Field:
        there = isinstance(value, dict)
        known: dict[str, Any] = value if there else {}
        # What isn't there is filled in from a template; nor is there anything to fill in for the whole answer.
        inner = place if there else place.blank()
        children = tuple(
            self.field(
                raw,
                inner.child(name, label_of(name, str(raw.get("title", ""))), required=name in shape.required),
                known.get(name, ABSENT),
                before.get(name, ABSENT) if isinstance(before, dict) else ABSENT,
                depth + 1,
            )
            for name, raw in shape.properties.items()
        )
        rest = {name: item for name, item in known.items() if name not in shape.properties}
        content = Field("group", place.name, place.label, children=children, wide=True)
        content = replace(content, extra=self._extra(place, rest) if rest else None)
        own = replace(place.dressed(content, shape), errors=self._errors(place))
        if there or (place.is_blank and own.required):
            return own
        return replace(own, is_here=False, children=(), was=place.was(shape, value), blank=content)

    def _errors(self, place: Place) -> tuple[str, ...]:
        return () if place.is_blank else self._told.of(place.path)

    def _extra(self, place: Place, rest: dict[str, Any]) -> Field:
        text = rest[""] if isinstance(rest.get(""), Unread) else dumps(rest, indent=2)
        errors = self._told.of(f"{place.path}:{MORE}")
        for name in rest:
            errors += self._told.within(place.inner(name))
        name = extra_name(place.name)
        return Field(
            "json", name, "Other values", help="Values that the schema doesn't know, as JSON.", text=text,
            errors=errors, rows=min(12, text.count("\n") + 1), initial=text, wide=True,
        )  # fmt: skip

    def _list(self, shape: Shape, place: Place, value: Any, before: Any, depth: int) -> Field | None:
        items: list[Any] = value if isinstance(value, list) else []
        if len(items) > MOST_ITEMS:
            return None
        olds = before if isinstance(before, list) else []
        origins = self._origins.get(place.path, range(len(items)))
        label = _singular(place.label)
        children = []
        for number, item in enumerate(items):
            origin = origins[number] if number < len(origins) else None
            inner = place.child(number, f"{label} {number + 1}", required=True)
            is_old = origin is not None and origin < len(olds)
            if is_old:
                inner = replace(inner, evidence=place.child(origin or 0, "", required=True).evidence)
            else:
                inner = replace(inner, evidence=None)
            old = olds[origin or 0] if is_old else ABSENT
            field = self.field(shape.item, inner, item, old, depth + 1)
            children.append(replace(field, origin=str(origin) if is_old else ""))
        own = Field("list", place.name, place.label, children=tuple(children), wide=True, proposed=len(olds))
        return self._with_blank(place.dressed(own, shape), place, f"{label} 1", shape, value, depth)

    def _pairs(self, shape: Shape, place: Place, value: Any, before: Any, depth: int) -> Field | None:
        rows: list[tuple[str, Any]] = (
            list(value.items()) if isinstance(value, dict) else list(value if isinstance(value, Rows) else ())
        )
        if len(rows) > MOST_ITEMS:
            return None
        self._counts[place.is_blank] += len(rows)
        seen: set[str] = set()
        keys, values = [], []
        for number, (key, item) in enumerate(rows):
            row = place.child(number, "Name", required=True)
            path = place.inner(key) if key not in seen and not isinstance(key, Unread) else f"{place.path}.#{number}"
            seen.add(key)
            name = replace(row, name=key_name(row.name), path=f"{path}:{KEY}")
            shown = single(_TEXT, name, key, key, self._told)
            keys.append(shown if key or isinstance(key, Unread) else replace(shown, was=dumps(key)))
            old = before.get(key, ABSENT) if isinstance(before, dict) else ABSENT
            inner = replace(row, name=join(row.name, "value"), path=path, label=normal(key) or "Value")
            values.append(self.field(shape.item, inner, item, old, depth + 1))
        content = Field("pairs", place.name, place.label, children=tuple(values), keys=tuple(keys), wide=True)
        content = replace(content, proposed=len(before) if isinstance(before, dict) else 0)
        own = self._with_blank(place.dressed(content, shape), place, "Value", shape, value, depth)
        row = place.blank().child(own.slot, "Name", required=True)
        name = replace(row, name=key_name(row.name))
        return replace(own, blank_key=single(_TEXT, name, ABSENT, ABSENT, self._told))

    def _with_blank(self, own: Field, place: Place, label: str, shape: Shape, value: Any, depth: int) -> Field:
        slot = f"__{depth}__"
        inner = place.blank().child(slot, label, required=True)
        if own.widget == "pairs":
            inner = replace(inner, name=join(inner.name, "value"))
        return replace(
            own,
            blank=self.field(shape.item, inner, ABSENT, ABSENT, depth + 1),
            slot=slot,
            is_here=isinstance(value, list | dict) or not shape.nullable,
            was=place.was(shape, value),
            errors=self._errors(place),
        )


def _singular(label: str) -> str:
    """What one item of a list is called."""
    for ending, instead in _PLURALS:
        if label.endswith(ending) and len(label) > len(ending) + 1:
            return label.removesuffix(ending) + instead
    return label
