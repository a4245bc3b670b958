"""What a JSON schema asks for: its properties with references resolved, and the hints in their descriptions."""

import re
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from .fold import fold

Schema = dict[str, Any]

DEEPEST = 6
# The honest nothing of a type: it keeps the type's promise, not the rest of the schema's.
_NOTHING: dict[str, Any] = {"number": 0, "integer": 0, "boolean": False, "array": [], "object": {}, "null": None}
_HINT = re.compile(r"\s*\b(Labelled|Often said as):\s*(.*?)(?:\.(?=\s+[A-Z])|\.?\s*$)", re.DOTALL)
_SHARE = re.compile(r"\b(?:confidence|probability|certainty|likelihood|score)\b")


@dataclass(frozen=True, eq=False)
class Property:
    """One property to fill: its resolved schema, the labels to look for, and those of its siblings."""

    name: str
    spec: Schema
    labels: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.spec.get("type", "object" if "properties" in self.spec else "string"))

    @property
    def nothing(self) -> Any:
        """What it is where there is nothing to say: null, or empty of its type."""
        return None if self.spec.get("nullable") else _NOTHING.get(self.kind, "")

    @property
    def choices(self) -> list[Any]:
        """The values that it may have, if these are listed."""
        return self.spec.get("enum") or [self.spec[key] for key in self.spec if key == "const"]

    @property
    def said(self) -> tuple[str, ...]:
        """Phrases that give it away, as the description lists them."""
        return hint(self.spec, "Often said as")

    @cached_property
    def words(self) -> str:
        """Name and what the description says beside its lists, folded."""
        return fold(f"{self.name.replace('_', ' ')} {_HINT.sub('', self.spec.get('description', ''))}")

    @property
    def is_share(self) -> bool:
        """Whether it is a number that says how sure or how good."""
        return self.kind in ("number", "integer") and bool(_SHARE.search(self.words))

    def share(self, part: float) -> float:
        """`part` (0 to 1) of its range."""
        low, high = self.spec.get("minimum", 0), self.spec.get("maximum", 1)
        return round(float(low + (high - low) * part), 2)

    def item(self, root: Schema) -> "Property":
        """What one of a list is."""
        spec = self.spec.get("items", {})
        return Property(self.name, resolve({"description": self.spec.get("description", ""), **spec}, root))

    def fit(self, text: str) -> str:
        """The text within its limit of length."""
        return text[: self.spec.get("maxLength", len(text))]


def hint(spec: Schema, kind: str) -> tuple[str, ...]:
    """The list that a description gives after "Labelled:" or "Often said as:"."""
    listed = [m[2].split(",") for m in _HINT.finditer(spec.get("description", "")) if m[1] == kind]
    return tuple(each.strip().casefold() for some in listed for each in some if each.strip())


def properties(spec: Schema, root: Schema) -> list[Property]:
    """The properties of an object: labels best first, those that descriptions list, then the property's own name."""
    specs = {name: resolve(part, root) for name, part in spec.get("properties", {}).items()}
    labels = {name: (*hint(part, "Labelled"), name.replace("_", " ").casefold()) for name, part in specs.items()}
    rivals = {name: tuple(label for other in labels if other != name for label in labels[other]) for name in labels}
    return [Property(name, part, labels[name], rivals[name]) for name, part in specs.items()]


def resolve(spec: Schema, root: Schema) -> Schema:
    """The schema without references and unions; `nullable` says whether it allows null."""
    for _ in range(DEEPEST):  # a reference may lead to a reference; a cycle ends here
        options = [option for key in ("anyOf", "oneOf", "allOf") for option in spec.get(key, [])]
        if isinstance(spec.get("type"), list):
            options = [{"type": kind} for kind in spec["type"]]
        if "$ref" in spec:
            options = [reduce(lambda at, part: at[part], spec["$ref"].removeprefix("#/").split("/"), root)]
        if not options:
            break
        nullable = spec.get("nullable", False) or {"type": "null"} in options
        # What stands beside a reference, a description above all, says more than what it leads to.
        own = {key: spec[key] for key in spec if key not in ("$ref", "anyOf", "oneOf", "allOf", "type")}
        spec = {**next((o for o in options if o != {"type": "null"}), {}), **own, "nullable": nullable}
    return spec
