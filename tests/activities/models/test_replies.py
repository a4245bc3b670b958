"""Replies that the SDKs build of whatever JSON came: each is read, or named as no reply."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from activities.models.anthropic_wire import read_anthropic
from activities.models.openai_wire import read_openai
from activities.models.replies import RawReply
from engross.errors import ProviderGarbled

FUNCTION: Final = {"name": "Slip", "arguments": '{"total": 1}'}
COMPLETION: Final[dict[str, Any]] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": [{"id": "1", "type": "function", "function": FUNCTION}],
            },
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
}
MESSAGE: Final[dict[str, Any]] = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "stop_reason": "tool_use",
    "content": [
        {"type": "text", "text": "Here it is."},
        {"type": "tool_use", "id": "1", "name": "Slip", "input": {"total": 1}},
    ],
    "usage": {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": 1},
}
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of a JSON value below its top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def spoilt(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The value with another part at `path`; an empty tuple takes the part away."""
    if not path:
        return other
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = spoilt(value[key], tuple(rest), other)
    if copy[key] == ():
        del copy[key]
    return copy


def built(sdk_type: Any, value: Any) -> Any:
    """What the SDK makes of a body: nothing is checked."""
    return sdk_type.construct(**value)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"total": value}
    return value


@given(st.sampled_from(list(places(COMPLETION))), st.just(()) | ANYTHING)
def test_a_completion_with_anything_wrong_is_a_reply_or_garbled(path: tuple[Any, ...], other: Any) -> None:
    outcome = read_or_named(read_openai, built(ChatCompletion, spoilt(COMPLETION, path, other)))
    assert outcome is None or isinstance(outcome, RawReply)


@given(st.sampled_from(list(places(MESSAGE))), st.just(()) | ANYTHING)
def test_a_message_with_anything_wrong_is_a_reply_or_garbled(path: tuple[Any, ...], other: Any) -> None:
    outcome = read_or_named(read_anthropic, built(Message, spoilt(MESSAGE, path, other)))
    assert outcome is None or isinstance(outcome, RawReply)


def test_what_nothing_is_wrong_with_is_a_reply() -> None:
    assert read_openai(built(ChatCompletion, COMPLETION)).used_tool
    assert read_anthropic(built(Message, MESSAGE)).used_tool


def test_an_input_nested_without_end_is_garbled() -> None:
    message = built(Message, MESSAGE)
    message.content[1].input = deep(100_000)
    assert read_or_named(read_anthropic, message) is None


def read_or_named(read: Any, raw: Any) -> RawReply | None:
    try:
        reply: RawReply = read(raw)
    except ProviderGarbled:
        return None
    return reply


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini-2025-04-14"),
        ("models/7B/ggml-model.q4_0.gguf", "models/7B/ggml-model.q4_0.gguf"),
        ("half\ud800", "half?"),  # UTF-8 can't hold it: the paid reply could not be kept
        ("\x1b[31mred\n", "??31mred?"),
        ("x" * 3_000_000, "x" * 200),  # more than a payload of Temporal's may have
    ],
    ids=["dated", "path", "half a character", "escapes", "endless"],
)
def test_what_a_provider_calls_itself_is_a_name(name: str, kept: str) -> None:
    choice = {**COMPLETION["choices"][0], "finish_reason": name}
    replies = (
        read_openai(built(ChatCompletion, {**COMPLETION, "model": name, "choices": [choice]})),
        read_anthropic(built(Message, {**MESSAGE, "model": name, "stop_reason": name})),
    )
    assert [(reply.model, reply.finish_reason) for reply in replies] == [(kept, kept)] * 2
    assert all(reply.model_dump_json() for reply in replies)
