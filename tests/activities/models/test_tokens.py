"""Tokens are counted as OpenAI counts them, without a network, whatever the text; requests are estimated upwards."""

import gzip
import hashlib
import random
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.models import tokens
from activities.models.tokens import count_tokens, most_input_tokens
from engross.contracts import ModelRef

OPENAI = ModelRef(provider="openai", model="gpt-4.1-mini")
OTHERS = [
    ModelRef(provider="anthropic", model="claude-haiku-4-5"),
    ModelRef(provider="local", model="gemma3-270m"),
    ModelRef(provider="openai", model="llama3.1"),
    ModelRef(provider="openai", model="gpt-4"),
]
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах."


# What rs-bpe, another implementation, counts.
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("Rechnung 2024-0042: 1.234,56 EUR\r\n\r\n", 17),
        ("We'll pay; they've PAID 12345678 times.", 12),
        (RUSSIAN, 17),
        ("人人生而自由,在尊严和权利上一律平等。", 16),
        ("<|endoftext|>", 7),  # in a document it is text
        ("👩‍👩‍👧 \t\u0301\0", 12),
    ],
)
def test_tokens_are_openais(text: str, count: int) -> None:
    assert count_tokens(text) == count


def test_the_vocabulary_is_the_one_that_openai_publishes() -> None:
    packed = (resources.files("activities.models") / "o200k_base.tiktoken.gz").read_bytes()
    digest = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    assert digest == "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def test_counting_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("counting tokens went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokens._load.cache_clear()
    assert count_tokens("hello world") == 2


def test_importing_loads_no_vocabulary() -> None:
    script = "import sys, activities.models.tokens; sys.exit('tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_calls_that_start_together_load_one_vocabulary() -> None:
    tokens._load.cache_clear()
    start = threading.Barrier(4)

    def load(_: int) -> object:
        start.wait()
        return tokens._encoding()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(map(id, threads.map(load, range(4))))) == 1


@pytest.mark.parametrize(
    "piece", [" ", "a", "\n", "^", "'", " \t", "e\u0301", "\0", "\ud800", "\udfff\ud800x", "\U0010ffff"], ids=ascii
)
def test_no_text_is_too_strange_or_too_long(piece: str) -> None:
    assert 0 < count_tokens(piece * 1_000_000) <= 4_000_000 * len(piece)


def test_ten_megabytes_are_counted() -> None:
    line = "The contractor delivers 1,200 units to Zürich by 2024-03-31, payable within 30 days.\n"
    times = 10_000_000 // len(line.encode())
    assert count_tokens(line * times) == pytest.approx(times * count_tokens(line), rel=0.001)


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=500))
def test_any_text_has_a_count_within_its_bytes(text: str) -> None:
    assert bool(text) <= count_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


def test_slices_leave_nothing_out() -> None:
    assert count_tokens("中" * 123_456) == 123_456


@pytest.mark.parametrize("seed", range(5))
def test_slices_differ_by_a_token_or_two_at_each_joint(seed: int) -> None:
    pieces = ["total ", "Rechnung", " 1.234,56", "\n", "   ", "x-9 ", "права ", "権利"]
    text = "".join(random.Random(seed).choices(pieces, k=20_000))  # noqa: S311 - no secret
    joints = len(text) // tokens._SLICE
    assert joints > 3
    assert abs(count_tokens(text) - len(tokens._encoding().encode_ordinary(text))) <= 2 * joints


# --- requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5", "o3", "gpt-4o-2024-08-06"])
def test_openais_own_models_are_counted_as_they_count(model: str) -> None:
    asked = ModelRef(provider="openai", model=model)
    frame = most_input_tokens([], asked=asked)
    assert 0 < frame < 500
    assert most_input_tokens(["hello world", RUSSIAN], asked=asked) == frame + 2 + count_tokens(RUSSIAN)


@pytest.mark.parametrize("asked", OTHERS, ids=str)
def test_other_vocabularies_may_need_half_as_much_again(asked: ModelRef) -> None:
    text = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. 人人生而自由。" * 10
    frame = most_input_tokens([], asked=asked)
    assert frame >= most_input_tokens([], asked=OPENAI)
    assert most_input_tokens([text], asked=asked) - frame == -(-count_tokens(text) * 3 // 2)


@pytest.mark.parametrize(
    ("text", "needed"),  # by Claude 2's vocabulary, the only one of Anthropic's that was ever public
    [
        (RUSSIAN, 40),
        ("모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.", 44),
        ("Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.", 85),
        ("כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.", 49),
        ("يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.", 45),
    ],
)
def test_alphabets_that_others_spell_out_count_for_more(text: str, needed: int) -> None:
    frame = most_input_tokens([], asked=OTHERS[0])
    assert most_input_tokens([text], asked=OTHERS[0]) - frame >= needed


def test_anthropics_tools_bring_a_prompt_of_their_own() -> None:
    assert most_input_tokens([], asked=OTHERS[0]) >= 600
