"""What a raw reply is, read from its finish reason first: no parse is believed before that."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

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

_Raw = TypeVar("_Raw")


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


def read(classify: Callable[[_Raw], RawReply], raw: _Raw) -> RawReply:
    """What `classify` makes of what an SDK returned. Raises `ProviderGarbled` when it meets what no reply has."""
    # The SDKs build whatever JSON came: any part can be missing, of another type, or nested without end.
    try:
        return classify(raw)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise ProviderGarbled("the provider answered 200 with a reply that lacks what every reply has") from None


def classified(
    texts: list[str], *, reason: str, model: str, usage: Usage | None, used_tool: bool, refused: bool = False
) -> RawReply:
    """A reply of the answers in `texts`, at least one, that ended for `reason`, both in a provider's words."""
    early = _EARLY_ENDS.get(reason)
    return RawReply(
        status=early if early else ReplyStatus.REFUSED if refused else _status_of(texts),
        text=_storable(texts[0]),
        model=_name(model),
        finish_reason=_name(reason),
        usage=usage,
        used_tool=used_tool,
    )


def _status_of(texts: list[str]) -> ReplyStatus | None:
    if len(texts) > 1:  # one answer was asked for: choosing between two would be guessing
        return ReplyStatus.INVALID
    return None if texts[0].strip() else ReplyStatus.EMPTY


def unfence(content: str) -> str:
    """The first code block in `content`, or all of it when it has none."""
    block = _CODE_BLOCK.search(content)
    return (block.group(1) if block else content).strip()


def _name(text: str) -> str:
    return _NOT_OF_A_NAME.sub("?", text[:_LONGEST_NAME])


def _storable(text: str) -> str:
    # Half characters, which UTF-8 can't hold, would keep a paid reply from being stored.
    return text.encode("utf-8", "replace").decode()


def usage_of(input_tokens: int | None, output_tokens: int | None, cached_tokens: int) -> Usage | None:
    """None where the provider doesn't say what the call used, or says what can't be: both are unknown, not zero."""
    if not input_tokens or output_tokens is None:  # there is no request without input
        return None
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=min(cached_tokens, input_tokens))


def tokens_of(usage: object, name: str) -> int | None:
    """The count called `name`; None where it is missing or can't be."""
    count: object = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count <= _MOST_TOKENS else None
