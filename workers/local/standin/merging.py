"""One answer out of several: a JSON schema and the answers of other steps in, a value for each property out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from . import lists
from .choices import choose
from .fences import Given, parts, strings
from .fold import fold
from .prose import Prose, joined, words
from .shapes import DEEPEST, Property, Schema, properties, resolve

_MOST_SENTENCES = 5
_FEWEST_WORDS = 4
_STEM = 5  # letters: "action" and "actions" are one word

Values = Sequence[Any]  # one value, or None, for each of the answers


def merge(schema: Schema, given: Sequence[Given]) -> dict[str, Any]:
    """A value for each property of the object `schema`, taken from the answers alone."""
    return _object(resolve(schema, schema), schema, given, 0)


def _object(spec: Schema, root: Schema, given: Sequence[Given], depth: int) -> dict[str, Any]:
    return {prop.name: _value(prop, root, given, depth) for prop in properties(spec, root)}


def _value(prop: Property, root: Schema, given: Sequence[Given], depth: int) -> Any:
    same = [each.value.get(prop.name) if isinstance(each.value, dict) else None for each in given]
    there = [value for value in same if value is not None]
    if prop.name == "sources":
        return sorted({number for each in given for number in _sources(each.value)})
    if prop.kind == "array":
        return _list(prop, root, same if there else _named_like(prop, given))
    if prop.kind == "object" and depth < DEEPEST:
        inner = [Given(each.label, value) for each, value in zip(given, same, strict=True) if isinstance(value, dict)]
        return _object(prop.spec, root, inner or given, depth + 1)
    if prop.kind in ("number", "integer") and prop.is_share:
        shares = [value for value in there if isinstance(value, int | float)]
        return round(sum(shares) / len(shares), 2) if shares else prop.share(0.7 if given else 0)
    if prop.kind == "string" and not prop.spec.get("format"):
        return _text(prop, there, given)
    return _commonest(there, prop.nothing)


def _commonest(found: Values, nothing: Any) -> Any:
    """The value that most answers have, of equals the first: answers that differ aren't added up."""
    plain = Counter(value for value in found if isinstance(value, str | int | float))
    return plain.most_common(1)[0][0] if plain else nothing


def _text(prop: Property, there: Values, given: Sequence[Given]) -> Any:
    """The most central sentences of the texts of that name, else of all; what is no sentence is chosen as it is."""
    told = [value for value in there if isinstance(value, str) and value]
    everything = [text for each in given for text in strings(each.value) if text.count(" ") >= _FEWEST_WORDS - 1]
    if prop.choices:
        return _commonest([value for value in told if value in prop.choices], None) or choose(
            prop, "\n".join(everything)
        )
    if told and all(text.count(" ") < _FEWEST_WORDS - 1 for text in told):
        return prop.fit(_commonest(told, ""))
    if not told and prop.spec.get("nullable"):
        return None
    found = Prose("\n".join(told or everything), turns=False).central(_MOST_SENTENCES)
    return joined([sentence.told for sentence in found], prop.spec.get("maxLength")) or prop.nothing


def _list(prop: Property, root: Schema, found: Values) -> list[Any]:
    """The items of all lists in order, each once, spread over the lists where there are too many."""
    one = prop.item(root)
    united: list[list[Any]] = []
    known: dict[str, Any] = {}
    for some in found:
        united.append([])
        for raw in some if isinstance(some, list) else []:
            value = _as_item(one, root, raw)
            key = fold(_key(value))
            if key not in known:
                known[key] = value
                united[-1].append(value)
            elif isinstance(value, dict) and "sources" in value:
                known[key]["sources"] = sorted({*known[key]["sources"], *value["sources"]})
    return _spread(united, prop.spec.get("maxItems"))


def _spread(united: list[list[Any]], most: int | None) -> list[Any]:
    """At most `most` items in order: of every list as many as of the others, those that have most in common first."""
    if most is None or sum(map(len, united)) <= most:
        return [value for some in united for value in some]
    said = [[words(_key(value)) for value in some] for some in united]
    used = Counter(word for some in said for each in some for word in each)
    ranked = [_ranked(some, used) for some in said]
    turns = [(place, at) for turn in zip_longest(*ranked) for place, at in enumerate(turn) if at is not None]
    return [united[place][at] for place, at in sorted(turns[:most])]


def _ranked(said: list[frozenset[str]], used: Counter[str]) -> list[int]:
    """The places of the items, best first: those whose words are used most."""
    weights = [sum(used[word] for word in each) / (len(each) + 3) for each in said]
    return sorted(range(len(said)), key=lambda at: (-weights[at], at))


def _as_item(one: Property, root: Schema, raw: Any) -> Any:
    """The item in the shape that is asked for: properties of the same name, and its text."""
    if one.kind != "object":
        return one.fit(_key(raw)) if one.kind == "string" else raw
    wanted = properties(one.spec, root)
    own = raw if isinstance(raw, dict) else {}
    made = {part.name: own.get(part.name, part.nothing) for part in wanted}
    main = lists.main_text(wanted)
    return made if main is None or made[main.name] else {**made, main.name: main.fit(_key(raw))}


def _key(value: Any) -> str:
    """What an item says, to be told apart by."""
    return max(strings(value), key=len, default=str(value))


def _named_like(prop: Property, given: Sequence[Given]) -> Values:
    """The lists of those answers that are called like the property, in their label or their own property."""
    stems = {word[:_STEM] for word in fold(prop.name).replace("_", " ").split()}
    found = [each for each in given if stems & {word[:_STEM] for word in fold(each.label).replace("_", " ").split()}]
    values = [value for each in found if isinstance(each.value, dict) for value in each.value.values()]
    return [value for value in values if isinstance(value, list)]


def _sources(value: Any) -> Iterator[int]:
    numbers = value.get("sources") if isinstance(value, dict) else None
    yield from (number for number in numbers or [] if isinstance(number, int))
    for each in parts(value):
        yield from _sources(each)
