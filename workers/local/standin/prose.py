"""A text as sentences: who says them, how central they are, and which of them fit a cue."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from .fold import fold

_BREAK = re.compile(r"(?<=[.!?])\s+|\n+")
_TURN = re.compile(r"[^\S\n]*(?:\[([^\]\n]{1,40})\][^\S\n]*:?|([^\W\d_][^:\n]{0,39}):)(?=\s|$)")
_MARKUP = re.compile(r"\{[a-z_]{1,20}\}")  # how transcripts note noises and gaps
_STUTTER = re.compile(r"\b(\w+)(?:,? \1\b)+", re.IGNORECASE)
_FILLERS = re.compile(
    r"(?<![\w'’-])(?:uh{1,4}|um{1,4}|uhm|erm?|m{2,4}(?:-hm{1,4})?|hm{1,4})\b(?!['’-])\s?[,.]?\s*", re.IGNORECASE
)
_HESITANT = re.compile(r"\buh\b", re.IGNORECASE)  # without it "um" may be a word, as it is in German
_SPACED = re.compile(r" +(?=[.,!?;:](?:\s|$))")
_WORD = re.compile(r"[^\W\d_]{4,}")  # short words say little
_LITTLE = (
    "about actually again also always another anything around because been before being could does doing done down"
    " each even every first from going gonna good have having here into just kind know like little look make many"
    " maybe mean more much need next okay only other over probably quite really right same should some something still"
    " such sure take than that their them then there these they thing things think this those very want well were what"
    " when where which will with would yeah your"
)
_COMMON = frozenset(_LITTLE.split())
_FEWEST_WORDS = 4
_LONGEST_LIST = 300  # characters
_SAID_ALREADY = 1.8  # how much less a word counts in the next sentence


class Sentence(NamedTuple):
    """One sentence, tidied, and the speaker of its turn, if it has one. `words` are those that carry weight."""

    text: str
    speaker: str
    words: frozenset[str]

    @property
    def told(self) -> str:
        """The sentence as a minute: with who says it."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text

    @property
    def is_question(self) -> bool:
        return self.text.endswith("?")

    @property
    def is_long(self) -> bool:
        """Whether it has enough words to be told alone, and one of weight."""
        return self.text.count(" ") >= _FEWEST_WORDS - 1 and bool(self.words)


class Prose:
    """The sentences of one text, each once. `turns` says that it may be a transcript."""

    def __init__(self, text: str, *, turns: bool = True) -> None:
        self._text = _MARKUP.sub("", text)
        self._turns = turns

    @cached_property
    def sentences(self) -> list[Sentence]:
        """All of them in order; in a transcript without the names at the beginning of turns."""
        turns = [_TURN.match(line) if self._turns else None for line in self._text.splitlines()]
        names = Counter(turn[1] or turn[2] for turn in turns if turn)
        # Names come again and again; "Total:" and "Note:" don't.
        spoken = 2 * len(names) <= sum(names.values()) and 2 * sum(names.values()) > len(turns)
        hesitant = bool(_HESITANT.search(self._text))
        found: dict[str, Sentence] = {}
        speaker = ""
        for line, turn in zip(self._text.splitlines(), turns, strict=True):
            if spoken and turn:
                speaker = turn[1] or turn[2]
            said = _fluent(line[turn.end() if turn else 0 :], hesitant) if spoken else line
            for part in _BREAK.split(said):
                text = _SPACED.sub("", " ".join(part.split()))
                if re.search(r"\w", text):
                    found.setdefault(text, Sentence(text, speaker, words(text)))
        return list(found.values())

    @cached_property
    def _used(self) -> Counter[str]:
        return Counter(word for sentence in self.sentences for word in sentence.words)

    def central(self, count: int) -> list[Sentence]:
        """The `count` most central sentences in the order of the text, which together say much of what it says most.

        The words that are said already count less and less in the next one.
        """
        used: dict[str, float] = dict(self._used)
        left = [at for at, sentence in enumerate(self.sentences) if sentence.is_long]
        chosen: list[int] = []
        while left and len(chosen) < count:
            _, last = max((_weight(self.sentences[at], used), -at) for at in left)
            chosen.append(-last)
            left.remove(-last)
            used |= {word: used[word] / _SAID_ALREADY for word in self.sentences[-last].words}
        return [self.sentences[at] for at in sorted(chosen)] or self.sentences[:count]

    def best(self, count: int, fit: Callable[[Sentence], float]) -> list[Sentence]:
        """Up to `count` sentences that fit (more than 0) best, of equals the more central, in the order of the text."""
        ranked = [(-fit(s), -_weight(s, self._used), at) for at, s in enumerate(self.sentences) if s.is_long]
        chosen = sorted(rank for rank in ranked if rank[0] < 0)[:count]
        return [self.sentences[at] for at in sorted(at for *_, at in chosen)]


def _weight(sentence: Sentence, used: Mapping[str, float]) -> float:
    """How much of what the text says most a sentence says."""
    return sum(used[word] for word in sentence.words) / (len(sentence.words) + 3)


def _fluent(said: str, hesitant: bool) -> str:
    """What is said without words said twice and, where people hesitate, without their "uh"."""
    said = " ".join((_FILLERS.sub(" ", said) if hesitant else said).split())
    return _STUTTER.sub(r"\1", said)


def words(text: str) -> frozenset[str]:
    """The words of a text that carry weight, folded."""
    return frozenset(_WORD.findall(fold(text))) - _COMMON


def cue(phrases: Sequence[str]) -> Callable[[Sentence], float]:
    """How many of the phrases a sentence has."""
    pattern = _any_of(phrases)
    return lambda sentence: len(set(pattern.findall(_plain(sentence.text))))


def behind(text: str, phrases: Sequence[str]) -> list[str]:
    """What follows each of the phrases in the text, as far as a list may go."""
    return (
        [text[found.end() : found.end() + _LONGEST_LIST] for found in _any_of(phrases).finditer(fold(text))]
        if phrases
        else []
    )


def _any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    listed = "|".join(re.escape(_plain(phrase)) for phrase in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{listed})(?![^\W_])")


def _plain(text: str) -> str:
    return fold(text).replace("’", "'").replace(" n't", "n't")  # transcripts write "do n't"


def joined(sentences: Sequence[str], most: int | None) -> str:
    """The sentences as one text of at most `most` characters: whole ones, or the beginning of the first."""
    text = ""
    for sentence in sentences:
        whole = sentence if re.search(r"[.!?…]\W{0,2}$", sentence) else f"{sentence.rstrip(' ,;:')}."
        longer = f"{text} {whole}".strip()
        if most is None or len(longer) <= most:
            text = longer
    return text or "".join(sentences[:1])[:most]
