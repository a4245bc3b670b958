"""The search for canary words finds them in every form that it names: else "nothing found" would mean nothing."""

import base64
from pathlib import Path

import pytest

from tests.canary import Canary, forms
from tests.valkey import Valkey, make_client

CANARY = Canary.of(7, "word")
WORD = CANARY["word"]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_base64_is_found_wherever_it_begins(before: str, after: str) -> None:
    text = before + WORD + after
    assert CANARY.search(base64.b64encode(text.encode())).total() == 1
    assert CANARY.search(base64.b64encode(text.encode("utf-16-le"))).total() == 1


def test_each_form_is_found_and_other_words_are_not() -> None:
    for form, data in forms(WORD):
        assert ("word", form) in CANARY.search(b"\0 before" + data + b"after \0"), form
    other = Canary.of(8, "word")["word"]
    assert not CANARY.search(b"".join(data for _, data in forms(other)))


def test_files_and_their_names_are_searched(tmp_path: Path) -> None:
    (tmp_path / "content").write_text(f"so {WORD} it is")
    (tmp_path / WORD).write_text("")
    assert CANARY.search_files(tmp_path.iterdir()).total() == 2


async def test_every_kind_of_value_in_redis_is_searched(valkey: Valkey) -> None:
    client = make_client(valkey.url)
    try:
        await client.flushall()
        await client.set("string", WORD)
        await client.set(f"key {WORD}", "")
        await client.hset("hash", "name", WORD)
        await client.rpush("list", WORD)
        await client.sadd("set", WORD)
        await client.zadd("sorted", {WORD: 1})
        assert CANARY.search_redis(valkey.url).total() == 6
        await client.flushall()
    finally:
        await client.aclose()
