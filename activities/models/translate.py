"""One translator from what the SDKs and instructor raise to the contract's error types.

Messages name the provider and what to do. The provider's own words are read, never passed on: they can quote the
request.
"""

import email.utils
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import anthropic
import httpx2
import openai

from engross.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextTooLong,
    EngrossError,
    InvalidRequest,
    ProviderGarbled,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnreachable,
    QuotaExhausted,
    RateLimited,
)

_KEYS: Final = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_SERVER_TROUBLE: Final = 500
_TOO_LONG: Final = ("context_length_exceeded", "prompt is too long", "maximum context length", "context window")
_POLICY: Final = ("content_policy", "content_filter", "content management policy", "usage policies")
_LONGEST_WAIT: Final = 3600.0  # a Retry-After beyond an hour is as likely a mistake as a wish


def translate(error: BaseException, provider: str) -> EngrossError:
    """The named error that `error` stands for; raise it `from None`, as the original can hold document text."""
    cause = error
    for cause in _causes(error):
        if isinstance(cause, openai.APIStatusError | anthropic.APIStatusError):
            return _of_status(cause, provider)
        if isinstance(cause, openai.APITimeoutError | anthropic.APITimeoutError | TimeoutError):
            if isinstance(cause.__cause__, httpx2.ConnectTimeout):
                return ProviderUnreachable(f"no connection to {provider}")
            return ProviderTimeout(f"{provider} did not answer in time; the call may have been billed")
        if isinstance(cause, openai.APIConnectionError | anthropic.APIConnectionError):
            if isinstance(cause.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                return ProviderUnreachable(f"no connection to {provider}")
            return ProviderUnreachable(f"the connection to {provider} broke in mid-call", maybe_billed=True)
    return ProviderGarbled(f"{provider} answered with something other than its protocol ({type(cause).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _of_status(error: openai.APIStatusError | anthropic.APIStatusError, provider: str) -> EngrossError:
    words = _words(error)
    status = error.status_code
    key = _KEYS[provider]
    if "insufficient_quota" in words or "credit balance" in words or status == 402:
        return QuotaExhausted(f"the {provider} account has no credit left; add some, or set another {key}")
    if status == 429:
        return RateLimited(f"{provider} asks to slow down", retry_after=_retry_after(error.response.headers))
    if status in {401, 403}:
        return AuthenticationFailed(f"{provider} refuses the key (HTTP {status}); check {key}")
    if status >= _SERVER_TROUBLE:
        return ProviderOverloaded(f"{provider} has trouble of its own (HTTP {status})")
    if status == 408:
        return ProviderTimeout(f"{provider} timed out (HTTP 408)")
    if status == 413 or any(sign in words for sign in _TOO_LONG):
        return ContextTooLong("the document is longer than the model's window; use a model with a larger one")
    if any(sign in words for sign in _POLICY):
        return ContentRefused(f"{provider} refused the request by its content policy; a person must look")
    if status == 404:
        return InvalidRequest(f"{provider} knows no such model or address (HTTP 404); check ENGROSS_MODEL")
    return InvalidRequest(f"{provider} rejected the request (HTTP {status})")


def _words(error: openai.APIStatusError | anthropic.APIStatusError) -> str:
    body: Any = error.body
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        return ""
    return " ".join(str(inner.get(key, "")) for key in ("code", "type", "param", "message")).lower()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms`, or `retry-after` as seconds or an HTTP date; None when absent or nonsense."""
    for text, scale in ((headers.get("retry-after-ms"), 0.001), (headers.get("retry-after"), 1.0)):
        if text is None:
            continue
        try:
            seconds = float(text) * scale
        except ValueError:
            moment = email.utils.parsedate_tz(text)
            seconds = email.utils.mktime_tz(moment) - time.time() if moment else -1
        if 0 <= seconds < float("inf"):
            return min(seconds, _LONGEST_WAIT)
    return None
