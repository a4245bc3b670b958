"""Words that nobody else writes, and the search for them in files, in a Redis, and in whatever else is bytes."""

import base64
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_LENGTH: Final = 16
_BASE64: Final = 3  # bytes that become four characters: a word begins at one of so many places

Found = Counter[tuple[str, str]]
"""How often each word was found, by the word and the form that it had."""


@dataclass(frozen=True)
class Canary:
    """Words by what they are for, such as "document"; made anew for each seed."""

    words: Mapping[str, str]

    @classmethod
    def of(cls, seed: int, *uses: str) -> "Canary":
        letters = random.Random(seed)  # noqa: S311 - no secret
        return cls({use: "".join(letters.choices(_LETTERS, k=_LENGTH)) for use in uses})

    def __getitem__(self, use: str) -> str:
        return self.words[use]

    def search(self, data: bytes) -> Found:
        """What is found in `data`."""
        found: Found = Counter()
        for use, word in self.words.items():
            for form, pattern in forms(word):
                if count := data.count(pattern):
                    found[use, form] += count
        return found

    def search_files(self, files: Iterable[Path]) -> Found:
        found: Found = Counter()
        for file in files:
            found += self.search(file.read_bytes())
            found += self.search(str(file).encode())
        return found

    def search_redis(self, url: str) -> Found:
        """Keys and values as they are now; the file that they are kept in is another place."""
        found: Found = Counter()
        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(count=1000):
                found += self.search(key)
                for part in _parts(client, key):
                    found += self.search(part)
        return found


def forms(word: str) -> Iterator[tuple[str, bytes]]:
    """`word` as it may stand in bytes, with a name for each form."""
    yield "utf-8", word.encode()
    yield "utf-8 capitals", word.upper().encode()
    yield "utf-16-le", word.encode("utf-16-le")
    yield "utf-16-be", word.encode("utf-16-be")
    yield "hexadecimal", word.encode().hex().encode()
    yield "json escapes", "".join(f"\\u{ord(letter):04x}" for letter in word).encode()
    for start in range(_BASE64):
        yield f"base64 at {start}", _inner_base64(word.encode(), start)
    for start in range(_BASE64):
        yield f"base64 of utf-16 at {start}", _inner_base64(word.encode("utf-16-le"), start)


def _inner_base64(data: bytes, start: int) -> bytes:
    """The characters that `data` gives in base64 whatever is around it, when it begins `start` bytes into a group."""
    before = b"\0" * start
    whole = len(before + data) // _BASE64 * _BASE64
    encoded = base64.b64encode((before + data)[:whole])
    return encoded[4:] if start else encoded


def _parts(client: Any, key: bytes) -> Iterator[bytes]:  # redis-py types its answers as str and bytes alike
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"hash":
            for name, value in client.hgetall(key).items():
                yield name
                yield value
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case other:
            raise AssertionError(f"the search does not know values of type {other!r}")
