"""Which field each error message belongs to."""

from collections.abc import Mapping, Sequence

from starters.console.forms.fields import Complaint, Field


class Told:
    """Messages by dotted path. What a field has taken is not told again by those around it."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self._left = {path: tuple(messages) for path, messages in errors.items()}

    def of(self, path: str) -> tuple[str, ...]:
        """The messages for exactly this path."""
        return self._left.pop(path, ()) if path else ()

    def within(self, path: str) -> tuple[str, ...]:
        """The messages for this path and for everything below it."""
        inner = [known for known in self._left if not path or known == path or known.startswith(f"{path}.")]
        return tuple(message for known in inner for message in self._left.pop(known))

    def complaints(self, root: Field) -> tuple[Complaint, ...]:
        """Everything that is wrong: what no field has taken first, then field by field."""
        rest = tuple(Complaint(path, message, "") for path, messages in self._left.items() for message in messages)
        return rest + tuple(_below(root, ""))


def _below(field: Field, around: str) -> list[Complaint]:
    found = [Complaint(f"{around}{field.label}", message, field.name) for message in field.errors]
    inner = f"{around}{field.label} › " if around or field.widget != "group" else ""
    extra = (field.extra,) if field.extra else ()
    keys = field.keys if field.widget == "pairs" else ()
    for child in (*keys, *field.children, *extra):
        found += _below(child, inner)
    return found
