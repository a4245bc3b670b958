"""One translator from what the SDKs and instructor raise to the contract's error types.

Messages name the provider and what to do. The provider's own words are read, never passed on: they can quote the
request.
"""

import email.utils
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
import httpx2
from prometheus_client import Counter

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
from engross.names import LOCAL

_KEYS: Final = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", LOCAL: "ENGROSS_LOCAL_BASE_URL"}
_SERVER_TROUBLE: Final = 500
_TOO_LONG: Final = ("context_length_exceeded", "prompt is too long", "maximum context length", "context window")
_POLICY: Final = (
    "content_policy",
    "content_filter",
    "content filtering policy",
    "content management policy",
    "usage policies",
    "usage policy",
)
# Some come as a 429 or a 400: waiting does not help.
_NO_MONEY: Final = ("insufficient_quota", "credit balance", "billing_not_active", "billing_hard_limit_reached")
_NO_CONNECTION: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
# What the aiohttp transport calls no connection, too, although the request may have gone out.
_LOST_CONNECTION: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_BROKE: Final = "the connection to {} broke in mid-call"
_LONGEST_WAIT: Final = 3600.0  # a Retry-After beyond an hour is as likely a mistake as a wish

RETRY_AFTER_ODD: Final = Counter(
    "engross_retry_after_odd", "Replies whose Retry-After was no time or too long", ("provider",)
)


class StatusError(Protocol):
    """How each SDK raises a reply whose HTTP status is an error."""

    @property
    def status_code(self) -> int: ...

    @property
    def response(self) -> httpx2.Response: ...

    @property
    def body(self) -> object: ...


@dataclass(frozen=True)
class SdkErrors:
    """What one SDK raises; `timeout` is one of `connection`. Given, so that this module imports neither SDK."""

    status: type[StatusError]
    connection: type[Exception]
    timeout: type[Exception]


def translate(error: BaseException, provider: str, sdk: SdkErrors) -> EngrossError:
    """The named error that `error`, of `sdk` or another, stands for.

    Raise it `from None`, as the original can hold document text.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, EngrossError):  # ours, which an SDK took for a broken connection
            return cause
    for cause in causes:
        if isinstance(cause, sdk.status):
            return _of_status(cause, provider)
        if isinstance(cause, sdk.connection | TimeoutError):
            return _of_connection(cause, provider, sdk)
    return _garbled(causes[-1], provider)


def _of_connection(error: BaseException, provider: str, sdk: SdkErrors) -> EngrossError:
    reason = error.__cause__
    if isinstance(reason, httpx2.DecodingError):
        return _garbled(reason, provider)
    if _was_lost(reason):
        return ProviderUnreachable(_BROKE.format(provider), maybe_billed=True)
    if isinstance(reason, _NO_CONNECTION):
        return ProviderUnreachable(f"no connection to {provider}")
    if isinstance(error, sdk.timeout | TimeoutError):
        return ProviderTimeout(f"{provider} did not answer in time; the call may have been billed")
    return ProviderUnreachable(_BROKE.format(provider), maybe_billed=True)


def _was_lost(reason: BaseException | None) -> bool:
    cause = reason.__cause__ if reason else None
    return isinstance(cause, _LOST_CONNECTION) and not isinstance(cause, aiohttp.ClientConnectorError)


def _garbled(reason: BaseException, provider: str) -> ProviderGarbled:
    return ProviderGarbled(f"{provider} answered with something other than its protocol ({type(reason).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _of_status(error: StatusError, provider: str) -> EngrossError:
    words = _words(error)
    status = error.status_code
    key = _KEYS[provider]
    if status == 402 or any(sign in words for sign in _NO_MONEY):
        return QuotaExhausted(f"the {provider} account has no credit left; add some, or set another {key}")
    if status == 429:
        return RateLimited(f"{provider} asks to slow down", retry_after=retry_after(error.response.headers, provider))
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


def _words(error: StatusError) -> str:
    body = error.body
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        return ""
    return " ".join(str(inner.get(key, "")) for key in ("code", "type", "param", "message")).lower()


def retry_after(headers: Mapping[str, str], provider: str) -> float | None:
    """Seconds from `retry-after-ms`, or `retry-after` as seconds or an HTTP date; None when absent or nonsense.

    What is nonsense or had to be shortened is counted.
    """
    given = [(headers.get("retry-after-ms"), 0.001), (headers.get("retry-after"), 1.0)]
    wishes = [_seconds(text, scale) for text, scale in given if text is not None]
    if any(seconds is None or seconds > _LONGEST_WAIT for seconds in wishes):
        RETRY_AFTER_ODD.labels(provider).inc()
    wish = next((seconds for seconds in wishes if seconds is not None), None)
    return None if wish is None else min(wish, _LONGEST_WAIT)


def _seconds(text: str, scale: float) -> float | None:
    try:
        seconds = float(text) * scale
    except ValueError:
        seconds = _until(text)
    return seconds if 0 <= seconds < math.inf else None


def _until(date: str) -> float:
    """Seconds until an HTTP date; NaN when it is none."""
    try:
        moment = email.utils.parsedate_tz(date)
        return email.utils.mktime_tz(moment) - time.time() if moment else math.nan
    except (ValueError, OverflowError):  # a year, a day or a zone that no calendar has
        return math.nan
