"""What operators see of model calls: a line of the log for each, and metrics of what was paid for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from temporalio import activity

from activities.metrics import (
    COMPLETIONS_SERVED,
    MAYBE_BILLED,
    MODEL_CALLS,
    MODEL_COST,
    MODEL_ERRORS,
    MODEL_SECONDS,
    MODEL_TOKENS,
    MODEL_UNPRICED,
    REPAIRS,
    tenant_label,
)
from engross.contracts import AskRequest, Reply, ReplySource, ReplyStatus
from engross.errors import BillingUnclear, EngrossError, ProviderError

_EVENT: Final = "model call"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """Who is asked, and on whose account. `prompt_hash` is the SHA-256 of the step's prompt, without the document."""

    provider: str
    model: str
    job: str
    step: str
    tenant: str
    prompt_version: str
    prompt_hash: str

    @classmethod
    def of(cls, request: AskRequest) -> "Asked":
        """That of `request`."""
        return cls(
            provider=request.model.provider,
            model=request.model.model,
            job=request.job,
            step=request.step.name,
            tenant=request.text.tenant,
            prompt_version=request.step.prompt_version,
            prompt_hash=request.step.prompt.sha256,
        )

    @property
    def of_step(self) -> tuple[str, str, str]:
        """The labels `job`, `step` and `tenant`."""
        return self.job, self.step, tenant_label(self.tenant)

    @property
    def of_call(self) -> tuple[str, str, str, str, str]:
        """The labels `provider`, `model`, `job`, `step` and `tenant`."""
        return self.provider, self.model, *self.of_step

    @property
    def told(self) -> dict[str, str]:
        """What every line of the log says."""
        return {
            "provider": self.provider,
            "job": self.job,
            "step": self.step,
            "tenant": self.tenant,
            "prompt_version": self.prompt_version,
            "prompt_hash": self.prompt_hash,
        }


def account(request: AskRequest, reply: Reply) -> None:
    """Logs the reply and counts it: as paid for, as served without a call, and as a repair if it is one."""
    asked = Asked.of(request)
    if reply.calls:
        _count_paid(asked, reply)
    if reply.source is not ReplySource.CALLED:
        COMPLETIONS_SERVED.labels(reply.source.value, *asked.of_step).inc()
    if reply.maybe_billed:
        MAYBE_BILLED.labels(*asked.of_call).inc(reply.maybe_billed)
    rung = _rung(request)
    if rung and reply.status is ReplyStatus.VALID:
        REPAIRS.labels(*asked.of_step, rung).inc()
    _log.info(
        _EVENT,
        **asked.told,
        model=reply.model,
        status=reply.status.value,
        finish_reason=reply.finish_reason,
        input_tokens=reply.usage.input_tokens,
        cached_tokens=reply.usage.cached_tokens,
        output_tokens=reply.usage.output_tokens,
        cost_usd=None if reply.cost_usd is None else str(reply.cost_usd),
        latency_ms=reply.latency_ms,
        source=reply.source.value,
        maybe_billed=reply.maybe_billed,
    )


def account_error(asked: Asked, error: EngrossError, seconds: float) -> None:
    """Logs and counts a call that ended in `error` instead of a reply, after so many seconds."""
    MODEL_ERRORS.labels(*asked.of_call, error.type).inc()
    _log.warning(
        _EVENT,
        **asked.told,
        model=asked.model,
        status="error",
        error=error.type,
        latency_ms=round(seconds * 1000),
        source=ReplySource.CALLED.value,
        maybe_billed=int(isinstance(error, ProviderError) and error.maybe_billed),
    )


def account_seconds(asked: Asked, seconds: float) -> None:
    """Counts the time of a call that got a reply."""
    MODEL_SECONDS.labels(asked.provider, asked.model, asked.job, asked.step).observe(seconds)


@contextmanager
def lost_counted(asked: Asked) -> Iterator[None]:
    """Counts the calls that vanished when the step fails for good. Otherwise the reply to a later attempt has them."""
    try:
        yield
    except (ProviderError, BillingUnclear) as error:
        if error.vanished and _is_final(error):
            MAYBE_BILLED.labels(*asked.of_call).inc(error.vanished)
        raise


def _is_final(error: EngrossError) -> bool:
    info = activity.info()
    policy = info.retry_policy
    return not error.retryable or (policy is not None and 0 < policy.maximum_attempts <= info.attempt)


def _count_paid(asked: Asked, reply: Reply) -> None:
    usage = reply.usage
    MODEL_CALLS.labels(*asked.of_call, reply.status.value).inc()
    MODEL_TOKENS.labels(*asked.of_call, "input").inc(usage.input_tokens - usage.cached_tokens)
    MODEL_TOKENS.labels(*asked.of_call, "cached").inc(usage.cached_tokens)
    MODEL_TOKENS.labels(*asked.of_call, "output").inc(usage.output_tokens)
    if reply.cost_usd is None:
        MODEL_UNPRICED.labels(asked.provider, asked.model).inc()
    else:
        MODEL_COST.labels(*asked.of_call).inc(float(reply.cost_usd))


def _rung(request: AskRequest) -> str:
    """The rung of the repair ladder that this call is; empty for a first question."""
    if request.draft is not None:
        return "asked_again"
    is_first = request.model in request.step.route[:1]
    return "" if is_first or not request.step.route else "stronger_model"
