"""Passwords: which are accepted, and argon2id.

As OWASP ASVS 5.0, 6.2, asks: length and a list of common ones, no rules of composition, every character as typed.
"""

import asyncio
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from engross.errors import InvalidRequest

_COMMON: Final = Path(__file__).with_name("common_passwords.txt")
_HASH_DIGITS: Final = 16

LEAST_CHARACTERS: Final = 12
MOST_CHARACTERS: Final = 256

# Each hash takes 64 MiB for a moment: a flood of sign-ins waits here, and doesn't take the memory of the machine.
_AT_ONCE: Final = 4


class Passwords:
    """Hashes and compares, in threads."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """An argon2id hash in the PHC format."""
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def is_right(self, password: str, hashed: str | None) -> bool:
        """Whether `hashed` is of `password`. Without a hash it takes the same time, and is not."""
        if self._nobodys is None:
            self._nobodys = await self.hash("")
        async with self._room:
            return await asyncio.to_thread(self._verify, hashed or self._nobodys, password) and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            # No password is longer, so what is cut off here is wrong all the same.
            return self._hasher.verify(hashed, _bytes(password[: MOST_CHARACTERS + 1]))
        except VerifyMismatchError:
            return False


def check_password(password: str, *others: str) -> None:
    """Raises `InvalidRequest` with the rule that it breaks. `others` are what it must not be: the name, the address."""
    if len(password) < LEAST_CHARACTERS:
        raise InvalidRequest(f"a password has at least {LEAST_CHARACTERS} characters; a few words in a row do well")
    if len(password) > MOST_CHARACTERS:
        raise InvalidRequest(f"a password has at most {MOST_CHARACTERS} characters")
    if password.casefold() in {other.casefold() for other in others}:
        raise InvalidRequest("a password must not be the name or the e-mail address; choose another one")
    if hashlib.sha256(_bytes(password.casefold())).hexdigest()[:_HASH_DIGITS] in _common():
        raise InvalidRequest("that password is one of the most common; a few words of your own in a row do well")


@cache
def _common() -> frozenset[str]:
    return frozenset(line for line in _COMMON.read_text("ascii").splitlines() if not line.startswith("#"))


def _bytes(password: str) -> bytes:
    # As typed, even where that is no valid text: nothing may fail because of what somebody typed.
    return password.encode("utf-8", "surrogatepass")
