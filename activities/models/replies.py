"""What a raw reply is, read from its finish reason first: no parse is believed before that."""

import json
import re
from collections.abc import Callable
from typing import Final, TypeVar

from anthropic.types import Message, TextBlock, ToolUseBlock
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall

from engross.contracts import Contract, ReplyStatus, Usage
from engross.errors import ProviderGarbled

_EARLY_ENDS: Final[dict[str, ReplyStatus]] = {
    "length": ReplyStatus.TRUNCATED,
    "max_tokens": ReplyStatus.TRUNCATED,
    "model_context_window_exceeded": ReplyStatus.TRUNCATED,
    "content_filter": ReplyStatus.FILTERED,
    "refusal": ReplyStatus.REFUSED,
}
_MOST_TOKENS: Final = 100_000_000  # no model comes near: more is a mistake of the provider's
# Names go into histories, logs and tables as they are, and the provider chooses them: anything might be in them.
_LONGEST_NAME: Final = 200
_NOT_OF_A_NAME: Final = re.compile(r"[^\w./:@+ -]", re.ASCII)
_CODE_BLOCK: Final = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)

_Raw = TypeVar("_Raw", ChatCompletion, Message)


class RawReply(Contract):
    """A reply before its content is judged. `status` is None while `text` still has to be checked as an answer.

    `usage` is None when the provider gave none; `used_tool` says whether the answer came as the tool call asked for.
    `model` and `finish_reason` are names: short, and in ASCII.
    """

    status: ReplyStatus | None
    text: str
    model: str
    finish_reason: str
    usage: Usage | None
    used_tool: bool = False


def read_openai(raw: object) -> RawReply:
    """Classifies a chat completion. Raises `ProviderGarbled` when it isn't one."""
    if not isinstance(raw, ChatCompletion) or not raw.choices:
        raise ProviderGarbled("the provider answered 200 with something other than a chat completion")
    return _read(_from_completion, raw)


def read_anthropic(raw: object) -> RawReply:
    """Classifies a message. Raises `ProviderGarbled` when it isn't one."""
    content: object = getattr(raw, "content", None)
    if not isinstance(raw, Message) or not isinstance(content, list):
        raise ProviderGarbled("the provider answered 200 with something other than a message")
    return _read(_from_message, raw)


def _read(classify: Callable[[_Raw], RawReply], raw: _Raw) -> RawReply:
    # The SDKs build whatever JSON came: any part can be missing, of another type, or nested without end.
    try:
        return classify(raw)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise ProviderGarbled("the provider answered 200 with a reply that lacks what every reply has") from None


def _from_completion(raw: ChatCompletion) -> RawReply:
    choice = raw.choices[0]
    message = choice.message
    calls = [call for call in message.tool_calls or [] if isinstance(call, ChatCompletionMessageFunctionToolCall)]
    texts = [call.function.arguments for call in calls] or [_unfence(message.content or "")]
    reason = str(choice.finish_reason)
    early = _EARLY_ENDS.get(reason)
    return RawReply(
        status=early if early else ReplyStatus.REFUSED if message.refusal else _status_of(texts),
        text=_storable(texts[0]),
        model=_name(raw.model),
        finish_reason=_name(reason),
        usage=_openai_usage(raw),
        used_tool=bool(calls),
    )


def _from_message(raw: Message) -> RawReply:
    calls = [block for block in raw.content if isinstance(block, ToolUseBlock)]
    prose = "".join(block.text for block in raw.content if isinstance(block, TextBlock))
    # Broken tool arguments arrive as {}, which would pass a schema without required fields.
    texts = [json.dumps(call.input, ensure_ascii=False) if call.input else "" for call in calls] or [_unfence(prose)]
    reason = raw.stop_reason or ""
    early = _EARLY_ENDS.get(reason)
    return RawReply(
        status=early if early else _status_of(texts),
        text=_storable(texts[0]),
        model=_name(raw.model),
        finish_reason=_name(reason),
        usage=_anthropic_usage(raw),
        used_tool=bool(calls),
    )


def _status_of(texts: list[str]) -> ReplyStatus | None:
    if len(texts) > 1:  # one answer was asked for: choosing between two would be guessing
        return ReplyStatus.INVALID
    return None if texts[0].strip() else ReplyStatus.EMPTY


def _unfence(content: str) -> str:
    block = _CODE_BLOCK.search(content)
    return (block.group(1) if block else content).strip()


def _name(text: str) -> str:
    return _NOT_OF_A_NAME.sub("?", text[:_LONGEST_NAME])


def _storable(text: str) -> str:
    # Half characters, which UTF-8 can't hold, would keep a paid reply from being stored.
    return text.encode("utf-8", "replace").decode()


def _openai_usage(raw: ChatCompletion) -> Usage | None:
    usage = raw.usage
    details = getattr(usage, "prompt_tokens_details", None)
    cached = _tokens(details, "cached_tokens") or 0
    return _usage(_tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens"), cached)


def _anthropic_usage(raw: Message) -> Usage | None:
    usage = getattr(raw, "usage", None)
    cached, written = (_tokens(usage, f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    plain = _tokens(usage, "input_tokens")
    # Anthropic counts cached tokens beside the input, OpenAI within it: the contract is "within".
    return _usage(None if plain is None else plain + cached + written, _tokens(usage, "output_tokens"), cached)


def _usage(input_tokens: int | None, output_tokens: int | None, cached_tokens: int) -> Usage | None:
    """None where the provider doesn't say what the call used, or says what can't be: both are unknown, not zero."""
    if not input_tokens or output_tokens is None:  # there is no request without input
        return None
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=min(cached_tokens, input_tokens))


def _tokens(usage: object, name: str) -> int | None:
    count: object = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count <= _MOST_TOKENS else None
