"""OpenAI's chat completions: what is asked, sent by its SDK, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import instructor
import openai
import structlog
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall

from activities.models.forms import openai_form
from activities.models.providers import ModelCall, sent
from activities.models.replies import RawReply, classified, read, tokens_of, unfence, usage_of
from activities.models.translate import SdkErrors, translate
from activities.models.transport import client_options
from engross.contracts import Usage
from engross.errors import InvalidRequest, ProviderGarbled, ProviderOverloaded

_ERRORS: Final = SdkErrors(openai.APIStatusError, openai.APIConnectionError, openai.APITimeoutError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Dialect:
    """What an OpenAI-compatible server understands. Learned from its complaints, once for each model."""

    mode: instructor.Mode = instructor.Mode.TOOLS
    limit_parameter: str = "max_tokens"
    takes_temperature: bool = True

    def simplified(self, complaint: str) -> "Dialect | None":
        """The dialect to try after `complaint` (lower case); None when it is about something else."""
        if "max_completion_tokens" in complaint and self.limit_parameter == "max_tokens":
            return replace(self, limit_parameter="max_completion_tokens")
        if "temperature" in complaint and self.takes_temperature:
            return replace(self, takes_temperature=False)
        if ("tool" in complaint or "function" in complaint) and self.mode is instructor.Mode.TOOLS:
            return replace(self, mode=instructor.Mode.JSON)
        if "response_format" in complaint and self.mode is instructor.Mode.JSON:
            return replace(self, mode=instructor.Mode.MD_JSON)
        return None

    def parameters(self, call: ModelCall) -> dict[str, Any]:
        """The part of the request that the dialect decides."""
        temperature = {"temperature": call.temperature} if self.takes_temperature else {}
        return {self.limit_parameter: call.max_output_tokens, **temperature}


class OpenAIProvider:
    """OpenAI, and any server that speaks its protocol at `base_url`. `seconds` is the total time of a call.

    `name` is what errors call it.
    """

    def __init__(self, *, api_key: str, base_url: str | None, seconds: float, name: str = "openai") -> None:
        self._name = name
        http = openai.DefaultAioHttpClient(**client_options(seconds))
        self._sdk = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=http)
        self._seconds = seconds
        # OpenAI's own newer models know only the new name of the limit; other servers mostly the old one.
        self._default = Dialect() if base_url else Dialect(limit_parameter="max_completion_tokens")
        self._dialects: dict[str, Dialect] = {}

    async def call(self, call: ModelCall) -> RawReply:
        while True:
            dialect = self._dialects.get(call.model, self._default)
            try:
                reply = await self._send(call, dialect)
            except openai.APIStatusError as error:
                failure = translate(error, self._name, _ERRORS)
                about_the_form = isinstance(failure, InvalidRequest | ProviderOverloaded)  # some complain with a 500
                simpler = dialect.simplified(_complaint(error)) if about_the_form else None
                if simpler is None:
                    raise failure from None
                self._learn(call.model, simpler)
                continue
            if not reply.used_tool and reply.text and reply.status is None and dialect.mode is instructor.Mode.TOOLS:
                self._learn(call.model, replace(dialect, mode=instructor.Mode.JSON))
            return reply

    async def _send(self, call: ModelCall, dialect: Dialect) -> RawReply:
        request = {**openai_form(call.output, dialect.mode).filled(call.prompt), **dialect.parameters(call)}
        # As `extra_body`, which goes before all else, it is sent as it is: the SDK would look at every part of it.
        sending = self._sdk.chat.completions.create(model=call.model, messages=[], extra_body=request)
        return read_openai(await sent(sending, self._seconds, self._name, _ERRORS))

    def _learn(self, model: str, dialect: Dialect) -> None:
        self._dialects[model] = dialect
        _log.warning(
            "provider understands less than asked; falling back",
            model=model,
            mode=dialect.mode.name,
            limit_parameter=dialect.limit_parameter,
            temperature=dialect.takes_temperature,
        )

    async def close(self) -> None:
        await self._sdk.close()


def _complaint(error: openai.APIStatusError) -> str:
    inner = error.body.get("error", error.body) if isinstance(error.body, Mapping) else {}
    return f"{inner.get('param', '')} {inner.get('message', '')}".lower() if isinstance(inner, Mapping) else ""


def read_openai(raw: object) -> RawReply:
    """Classifies a chat completion. Raises `ProviderGarbled` when it isn't one."""
    if not isinstance(raw, ChatCompletion) or not raw.choices:
        raise ProviderGarbled("the provider answered 200 with something other than a chat completion")
    return read(_from_completion, raw)


def _from_completion(raw: ChatCompletion) -> RawReply:
    choice = raw.choices[0]
    message = choice.message
    calls = [call for call in message.tool_calls or [] if isinstance(call, ChatCompletionMessageFunctionToolCall)]
    texts = [call.function.arguments for call in calls] or [unfence(message.content or "")]
    return classified(
        texts,
        reason=str(choice.finish_reason),
        model=raw.model,
        usage=_usage(raw),
        used_tool=bool(calls),
        refused=bool(message.refusal),
    )


def _usage(raw: ChatCompletion) -> Usage | None:
    usage = raw.usage
    details = getattr(usage, "prompt_tokens_details", None)
    cached = tokens_of(details, "cached_tokens") or 0
    return usage_of(tokens_of(usage, "prompt_tokens"), tokens_of(usage, "completion_tokens"), cached)
