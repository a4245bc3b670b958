"""The two wire protocols, through instructor and the providers' SDKs. One request a call: Temporal alone retries."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import anthropic
import instructor
import openai
import structlog
from pydantic import BaseModel

from activities.models.forms import anthropic_form, openai_form
from activities.models.prompts import Prompt
from activities.models.replies import RawReply, read_anthropic, read_openai
from activities.models.translate import translate
from activities.models.transport import client_options
from engross.errors import InvalidRequest, ProviderOverloaded

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelCall:
    """One request: `output` becomes the schema that the reply must follow."""

    model: str
    prompt: Prompt
    output: type[BaseModel]
    max_output_tokens: int
    temperature: float


class Provider(Protocol):
    """Makes one call. Raises a named `ProviderError` or `InvalidRequest`; everything else is a reply."""

    async def call(self, call: ModelCall) -> RawReply: ...

    async def close(self) -> None: ...


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
                failure = translate(error, self._name)
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
        return read_openai(await _sent(sending, self._seconds, self._name))

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


class AnthropicProvider:
    """Anthropic's Messages API, or another server that speaks it at `base_url`. The API takes no temperature."""

    def __init__(self, *, api_key: str, base_url: str | None, seconds: float) -> None:
        http = anthropic.DefaultAioHttpClient(**client_options(seconds))
        self._sdk = anthropic.AsyncAnthropic(api_key=api_key, base_url=base_url, max_retries=0, http_client=http)
        self._seconds = seconds

    async def call(self, call: ModelCall) -> RawReply:
        request, limit = anthropic_form(call.output).filled(call.prompt), call.max_output_tokens
        # As `extra_body`: see `OpenAIProvider._send`.
        sending = self._sdk.messages.create(model=call.model, max_tokens=limit, messages=[], extra_body=request)
        try:
            return read_anthropic(await _sent(sending, self._seconds, "anthropic"))
        except anthropic.APIStatusError as error:
            raise translate(error, "anthropic") from None

    async def close(self) -> None:
        await self._sdk.close()


async def _sent(sending: Awaitable[object], seconds: float, provider: str) -> object:
    """The reply as it came; status errors as the SDK raised them, all others named."""
    try:
        async with asyncio.timeout(seconds):
            return await sending
    except (openai.APIStatusError, anthropic.APIStatusError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever is no status error is one the translator names
        raise translate(error, provider) from None


def _complaint(error: openai.APIStatusError) -> str:
    inner = error.body.get("error", error.body) if isinstance(error.body, Mapping) else {}
    return f"{inner.get('param', '')} {inner.get('message', '')}".lower() if isinstance(inner, Mapping) else ""
