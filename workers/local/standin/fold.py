"""Letters made comparable."""

import unicodedata
from functools import lru_cache

_plain = lru_cache(maxsize=4096)(lambda character: unicodedata.normalize("NFKD", character)[0].lower()[0])


def fold(text: str) -> str:
    """Lower case without accents, of the same length, so that offsets stay true."""
    return text.lower() if text.isascii() else "".join(map(_plain, text))
