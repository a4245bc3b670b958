"""How many tokens a text is, and at most how many a request is, counted offline."""

import base64
import gzip
import math
import re
import threading
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from engross.contracts import ModelRef

if TYPE_CHECKING:
    import tiktoken

# OpenAI's own file, as tiktoken (MIT) would download it at run time. Line n holds the bytes of token n.
_VOCABULARY: Final = "o200k_base.tiktoken.gz"
_WORDS: Final = "|".join(  # as in tiktoken's o200k_base; it offers them only together with the download
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
# Characters. Long runs make tiktoken slow, and a million spaces make it panic past every `except Exception`.
_SLICE: Final = 20_000
_loading: Final = threading.Lock()

# Tokens for what providers add to a request: roles, ends of messages, and how a tool is to be used.
_FRAMING: Final = 200
_FRAMINGS: Final = {"anthropic": 700}
# Against the vocabularies of Claude 2 and GPT-4; docs/adr/0014 has the table.
_ELSEWHERE: Final = 1.5
_LETTER: Final = 0.75
# Alphabets of few tokens in most vocabularies, unlike in o200k: from Greek to Khmer, and Hangul.
_ALPHABETS: Final = re.compile("[\u0370-\u1dff\uac00-\ud7a3]+")


def count_tokens(text: str) -> int:
    """The tokens of `text` in o200k_base, the vocabulary of OpenAI's models since GPT-4o.

    Takes any text; special tokens count as the plain text that they are in a document. A text over 20,000 characters
    may differ by a token or two for each further 20,000. Takes 0.1 s/MB, of blanks 0.7: call it in a thread for large
    texts. The first call loads the vocabulary (0.5 s, 75 MB).
    """
    encoding = _encoding()
    starts = range(0, len(text), _SLICE)
    return sum(len(encoding.encode_ordinary(text[start : start + _SLICE])) for start in starts)


def most_input_tokens(texts: Iterable[str], *, asked: ModelRef) -> int:
    """An upper estimate of the input tokens of a request: `texts` are its system and user text and its JSON schema.

    Near for OpenAI's models since GPT-4o. For all others, whose vocabularies are unknown or not public: half as much
    again, and three quarters of a token for each letter of a script other than Latin, Chinese and Japanese.
    """
    return _FRAMINGS.get(asked.provider, _FRAMING) + sum(most_tokens(text, asked=asked) for text in texts)


def most_tokens(text: str, *, asked: ModelRef) -> int:
    """What `text` adds to that estimate."""
    if _speaks_o200k(asked):
        return count_tokens(text)
    letters = sum(len(run.group()) for run in _ALPHABETS.finditer(text))
    return math.ceil(_ELSEWHERE * count_tokens(text) + _LETTER * letters)


def _speaks_o200k(asked: ModelRef) -> bool:
    import tiktoken  # see _load

    try:
        return asked.provider == "openai" and tiktoken.encoding_name_for_model(asked.model).startswith("o200k")
    except KeyError:
        return False


def _encoding() -> "tiktoken.Encoding":
    with _loading:  # calls that start together would each load it
        return _load()


@cache
def _load() -> "tiktoken.Encoding":
    import tiktoken  # only workers that call models need it, and the vocabulary

    lines = gzip.decompress((resources.files(__package__) / _VOCABULARY).read_bytes()).splitlines()
    ranks = {base64.b64decode(line.partition(b" ")[0]): rank for rank, line in enumerate(lines)}
    return tiktoken.Encoding("o200k_base", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})
