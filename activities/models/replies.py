"""What a raw reply is, read from its finish reason first: no parse is believed before that."""

import json
import re
from typing import Final

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
_CODE_BLOCK: Final = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class RawReply(Contract):
    """A reply before its content is judged. `status` is None while `text` still has to be checked as an answer.

    `usage` is None when the provider gave none; `used_tool` says whether the answer came as the tool call asked for.
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
    choice = raw.choices[0]
    message = choice.message
    calls = [call for call in message.tool_calls or [] if isinstance(call, ChatCompletionMessageFunctionToolCall)]
    texts = [call.function.arguments for call in calls] or [_unfence(message.content or "")]
    reason = str(choice.finish_reason)
    early = _EARLY_ENDS.get(reason)
    return RawReply(
        status=early if early else ReplyStatus.REFUSED if message.refusal else _status_of(texts),
        text=_storable(texts[0]),
        model=raw.model,
        finish_reason=reason,
        usage=_openai_usage(raw),
        used_tool=bool(calls),
    )


def read_anthropic(raw: object) -> RawReply:
    """Classifies a message. Raises `ProviderGarbled` when it isn't one."""
    content: object = getattr(raw, "content", None)  # the SDK builds whatever JSON came
    if not isinstance(raw, Message) or not isinstance(content, list):
        raise ProviderGarbled("the provider answered 200 with something other than a message")
    calls = [block for block in content if isinstance(block, ToolUseBlock)]
    prose = "".join(block.text for block in content if isinstance(block, TextBlock))
    # Broken tool arguments arrive as {}, which would pass a schema without required fields.
    texts = [json.dumps(call.input, ensure_ascii=False) if call.input else "" for call in calls] or [_unfence(prose)]
    reason = raw.stop_reason or ""
    early = _EARLY_ENDS.get(reason)
    return RawReply(
        status=early if early else _status_of(texts),
        text=_storable(texts[0]),
        model=raw.model,
        finish_reason=reason,
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


def _storable(text: str) -> str:
    # Half characters, which UTF-8 can't hold, would keep a paid reply from being stored.
    return text.encode("utf-8", "replace").decode()


def _openai_usage(raw: ChatCompletion) -> Usage | None:
    if raw.usage is None:
        return None
    details = raw.usage.prompt_tokens_details
    return Usage(
        input_tokens=raw.usage.prompt_tokens,
        output_tokens=raw.usage.completion_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )


def _anthropic_usage(raw: Message) -> Usage | None:
    usage: object = raw.usage
    if not usage:
        return None
    cached, written = raw.usage.cache_read_input_tokens or 0, raw.usage.cache_creation_input_tokens or 0
    # Anthropic counts cached tokens beside the input, OpenAI within it: the contract is "within".
    return Usage(
        input_tokens=raw.usage.input_tokens + cached + written,
        output_tokens=raw.usage.output_tokens,
        cached_tokens=cached,
    )
