"""What a model call is, and how a provider's SDK makes it: one request a call, as Temporal alone retries.

Imports no SDK, each of which takes a second to load: `openai_wire` and `anthropic_wire` import theirs.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from activities.models.prompts import Prompt
from activities.models.replies import RawReply
from activities.models.translate import SdkErrors, translate


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


async def sent(sending: Awaitable[object], seconds: float, provider: str, sdk: SdkErrors) -> object:
    """The reply as it came; status errors as the SDK raised them, all others named."""
    try:
        async with asyncio.timeout(seconds):
            return await sending
    except Exception as error:
        if isinstance(error, sdk.status):
            raise
        raise translate(error, provider, sdk) from None
