"""Do the conditions of a policy hold for an answer and its document? Code decides, and numbers are exact."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import groupby, takewhile
from typing import Any, Final

from engross.approval_fields import EVERY, leaves
from engross.contracts import Above, AllOf, AnyOf, Condition, Longer, Missing, Not, OneOf, Words
from engross.errors import InvalidRequest

# Thai to Myanmar, Khmer, kana and Han are written without spaces: there, words have no ends that could be looked for.
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_SPACED: Final = f"[^\\W{_UNSPACED}]"
# What divides a phrase may be followed by the end of a line.
_SEPARATORS: Final = {" ": "\\s+", "-": "[-\u2010]\\s*+", "\u2010": "[-\u2010]\\s*+"}
_HYPHENATED: Final = re.compile("(?<=\\w)[-\u2010]\n\\s*+(?=\\w)")


@dataclass(frozen=True)
class Subject:
    """What conditions are asked about.

    `answer` is parsed JSON, None when there is none; `characters` its length as JSON. `texts` are the document's text,
    folded, and once more with words joined that a hyphen divides at the end of a line, where there are such.
    """

    answer: Any
    characters: int = 0
    texts: tuple[str, ...] = ()


def subject(answer: bytes | None, text: str) -> Subject:
    """The answer, JSON or None, and the document's text, to ask about. Raises `InvalidRequest` when it isn't JSON."""
    folded = fold(text)
    joined = _HYPHENATED.sub("", folded)
    texts = (folded,) if joined == folded else (folded, joined)
    if answer is None:
        return Subject(None, 0, texts)
    return Subject(read_answer(answer), len(answer.decode()), texts)


def read_answer(answer: bytes) -> Any:
    """Parsed JSON with every number a Decimal. Raises `InvalidRequest` when it isn't JSON."""
    try:
        return json.loads(answer, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
    except (ValueError, InvalidOperation, RecursionError):
        raise InvalidRequest("the proposed answer is not JSON; propose the answer of a run") from None


def fold(text: str) -> str:
    """`text` so that upper and lower case, ligatures and full-width letters are alike."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def needs_text(conditions: Iterable[Condition]) -> bool:
    """Whether any of them is about the document's text."""
    return any(isinstance(leaf, Words) for condition in conditions for leaf in leaves(condition))


def holds(condition: Condition, about: Subject) -> bool:
    """Whether `condition` holds."""
    match condition:
        case AllOf():
            return all(holds(each, about) for each in condition.conditions)
        case AnyOf():
            return any(holds(each, about) for each in condition.conditions)
        case Not():
            return not holds(condition.condition, about)
        case Words():
            pattern = _phrases(condition.words)
            return any(pattern.search(text) for text in about.texts)
        case Longer():
            return about.characters > condition.characters
        case _:
            return any(_value_holds(condition, value) for value in values_at(about.answer, condition.field))


def values_at(value: Any, path: str) -> Iterator[Any]:
    """The values at the dotted `path`: several where it has a `*`, and None for what is not there."""
    part, _, rest = path.partition(".")
    if isinstance(value, list) and part.isascii() and part.isdecimal():
        found = value[int(part)] if len(part) <= len(str(len(value))) and int(part) < len(value) else None
        inner = [found]
    elif isinstance(value, dict) and part in value:
        inner = [value[part]]
    elif part == EVERY and isinstance(value, dict | list):
        inner = list(value.values()) if isinstance(value, dict) else value
    else:
        inner = [None]
    for each in inner:
        if rest:
            yield from values_at(each, rest)
        else:
            yield each


def number(value: Any) -> Decimal | None:
    """The number that `value` is, or writes in digits, as JSON holds exact decimals; None when it is none."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    return value if isinstance(value, Decimal) and not value.is_nan() else None


def _value_holds(condition: Above | Missing | OneOf, value: Any) -> bool:
    match condition:
        case Above():
            found = number(value)
            return found is not None and found > condition.limit
        case Missing():
            return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())
        case OneOf():
            return isinstance(value, str) and _spaced(value) in {_spaced(each) for each in condition.values}


def _spaced(text: str) -> str:
    return " ".join(fold(text).split())


@lru_cache(maxsize=256)
def _phrases(words: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern for all `words`: whole words, with any white space between those of a phrase."""
    phrases = {tuple(fold(each).split()) for each in words} - {()}
    spaced = {each for each in phrases if re.match(_SPACED, each[0])}
    patterns = [f"(?<!{_SPACED}){_merged(_tokens(spaced))}"] if spaced else []
    patterns += [_merged(_tokens(phrases - spaced))] if phrases - spaced else []
    return re.compile("|".join(patterns) or "(?!)")


def _tokens(phrases: Iterable[tuple[str, ...]]) -> list[list[str]]:
    """Each phrase as the pieces of its pattern; the last piece says how it may end, so none is the start of another."""
    return sorted(
        [*(_SEPARATORS.get(each) or re.escape(each) for each in " ".join(parts)), _end(parts[-1])] for parts in phrases
    )


def _end(word: str) -> str:
    return f"(?!{_SPACED})" if re.match(_SPACED, word[-1]) else "(?:)"


def _merged(phrases: list[list[str]]) -> str:
    """One pattern in which phrases share their beginnings: with hundreds of words a list of them takes a minute."""
    begin = [each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*phrases, strict=False))]
    ends = [each[len(begin) :] for each in phrases]
    groups = [_merged(list(group)) for _, group in groupby(ends, key=lambda each: each[:1])] if ends[0] else []
    return "".join(begin) + (f"(?:{'|'.join(groups)})" if groups else "")
