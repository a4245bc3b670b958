"""Made-up documents: each is another one, so that no reply is a kept one, and all seeds give the same sizes."""

import random
import re
from dataclasses import dataclass
from typing import Final

_WORDS: Final = re.findall(
    r"\w+",
    "the of a and to in with for by from carrier pallet depot signed sealed gate morning driver crate label counted"
    " weighed delivered returned stored checked against order customer northern southern heavy light shelf yard truck"
    " after before noon weather dry wet intact damaged corner wrapped twice once every second third loaded unloaded",
)
_SENTENCES: Final = 24  # with the head about 2,000 characters, one page
_MOST_SEEDS: Final = 10**8


@dataclass(frozen=True)
class Page:
    """A page of plain text, and what a reader must find in it."""

    name: str
    text: str
    reference: str
    total: float


def page(seed: int, number: int) -> Page:
    """Page `number` of `seed`. The seed is in its reference only, as wide as that of any other."""
    words = random.Random(number)  # noqa: S311 - filler text
    reference, total = f"R{seed % _MOST_SEEDS:08}-{number:04}", words.randrange(1000, 10_000) + 0.5
    head = f"DELIVERY SLIP\nReference: {reference}\nTotal: {total:.2f} EUR\n"
    body = "\n".join(_sentence(words) for _ in range(_SENTENCES))
    return Page(name=f"{reference}.txt", text=f"{head}\n{body}\n", reference=reference, total=total)


def pages(seed: int, count: int) -> list[Page]:
    """`count` pages of about 2,000 characters each."""
    return [page(seed, number) for number in range(count)]


def _sentence(words: random.Random) -> str:
    return f"{' '.join(words.choices(_WORDS, k=13)).capitalize()}."
