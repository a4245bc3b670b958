"""Anthropic's messages: what is asked, sent by its SDK, and what came of it."""

import json
from typing import Final

import anthropic
from anthropic.types import Message, TextBlock, ToolUseBlock

from activities.models.forms import anthropic_form
from activities.models.providers import ModelCall, sent
from activities.models.replies import RawReply, classified, read, tokens_of, unfence, usage_of
from activities.models.translate import SdkErrors, translate
from activities.models.transport import client_options
from engross.contracts import Usage
from engross.errors import ProviderGarbled

_ERRORS: Final = SdkErrors(anthropic.APIStatusError, anthropic.APIConnectionError, anthropic.APITimeoutError)


class AnthropicProvider:
    """Anthropic's Messages API, or another server that speaks it at `base_url`. The API takes no temperature."""

    def __init__(self, *, api_key: str, base_url: str | None, seconds: float) -> None:
        http = anthropic.DefaultAioHttpClient(**client_options(seconds))
        self._sdk = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            http_client=http,
            # Its own span would double that of `activities.models.spans`, and variables of the environment can put
            # the text of requests and replies into it. Nor has a provider to know which trace a call belongs to.
            open_telemetry={"traces": False, "propagation": False},
        )
        self._seconds = seconds

    async def call(self, call: ModelCall) -> RawReply:
        request, limit = anthropic_form(call.output).filled(call.prompt), call.max_output_tokens
        # As `extra_body`: see `openai_wire`.
        sending = self._sdk.messages.create(model=call.model, max_tokens=limit, messages=[], extra_body=request)
        try:
            return read_anthropic(await sent(sending, self._seconds, "anthropic", _ERRORS))
        except anthropic.APIStatusError as error:
            raise translate(error, "anthropic", _ERRORS) from None

    async def close(self) -> None:
        await self._sdk.close()


def read_anthropic(raw: object) -> RawReply:
    """Classifies a message. Raises `ProviderGarbled` when it isn't one."""
    content: object = getattr(raw, "content", None)
    if not isinstance(raw, Message) or not isinstance(content, list):
        raise ProviderGarbled("the provider answered 200 with something other than a message")
    return read(_from_message, raw)


def _from_message(raw: Message) -> RawReply:
    calls = [block for block in raw.content if isinstance(block, ToolUseBlock)]
    prose = "".join(block.text for block in raw.content if isinstance(block, TextBlock))
    # Broken tool arguments arrive as {}, which would pass a schema without required fields.
    texts = [json.dumps(call.input, ensure_ascii=False) if call.input else "" for call in calls] or [unfence(prose)]
    return classified(texts, reason=raw.stop_reason or "", model=raw.model, usage=_usage(raw), used_tool=bool(calls))


def _usage(raw: Message) -> Usage | None:
    usage = getattr(raw, "usage", None)
    cached, written = (tokens_of(usage, f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    plain = tokens_of(usage, "input_tokens")
    # Anthropic counts cached tokens beside the input, OpenAI within it: the contract is "within".
    return usage_of(None if plain is None else plain + cached + written, tokens_of(usage, "output_tokens"), cached)
