"""Choosing one of several values by the words that their descriptions share with a text, and how sure that is."""

import math
import re
from collections import Counter
from typing import Any

from .fold import fold
from .shapes import Property

_WORD = re.compile(r"[^\W\d_]{3,}")
_STEM = 5  # letters: "arrive", "arrived" and "arrival" are one word
_MOST_OF_ONE = 3  # times that one word counts
_ELSE = re.compile(r"other|unknown|none")
_EMPTY = frozenset(
    ("and", "the", "for", "from", "that", "with", "who", "has", "had", "was", "his", "her", "its", "not")
)


def choose(prop: Property, text: str) -> Any:
    """The choice that shares most with the text; without any, "other" or so, else the first."""
    votes = _votes(prop, text)
    best = max(range(len(votes)), key=lambda at: (votes[at], bool(_ELSE.match(str(prop.choices[at]))), -at))
    return prop.choices[best]


def certainty(prop: Property, text: str) -> float:
    """How sure the choice is (0 to 1): by how much it shares, and how far it is ahead of the next."""
    votes = sorted(_votes(prop, text), reverse=True)
    best, second = votes[0], max(votes[1:], default=0.0)
    return 0.4 + 0.55 * math.sqrt((best - second) / (best + 1)) if best else 0.2


def _votes(prop: Property, text: str) -> list[float]:
    """For each choice the words that it shares with the text; one that several choices have counts less."""
    seen = Counter(_stems(text))
    told = [set(_stems(f"{choice} {_told(prop, choice)}".replace("_", " "))) for choice in prop.choices]
    having = Counter(stem for stems in told for stem in stems)
    return [sum(min(seen[stem], _MOST_OF_ONE) / having[stem] for stem in stems) for stems in told]


def _told(prop: Property, choice: object) -> str:
    """What the description says of a choice, as in "late: not on time; lost: never came"."""
    found = re.search(rf"\b{re.escape(str(choice))}\W*[:=(–-]\s*([^;\n)]*)", prop.spec.get("description", ""))
    return found[1] if found else ""


def _stems(text: str) -> list[str]:
    return [word[:_STEM] for word in _WORD.findall(fold(text)) if word not in _EMPTY]
