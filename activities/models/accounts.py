"""What operators see of a model call: a line of the log, and metrics of what was paid for."""

import structlog

from activities.metrics import MODEL_CALLS, MODEL_COST, MODEL_SECONDS, MODEL_TOKENS, MODEL_UNPRICED
from engross.contracts import AskRequest, Reply

_log = structlog.get_logger(__name__)


def account(request: AskRequest, reply: Reply, seconds: float) -> None:
    """Logs the reply; counts it when it was paid for. `seconds` is what the step waited for it."""
    if reply.calls:
        _count(request, reply, seconds)
    _log.info(
        "model call",
        step=reply.step,
        provider=request.model.provider,
        model=reply.model,
        status=reply.status.value,
        finish_reason=reply.finish_reason,
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        cost_usd=None if reply.cost_usd is None else str(reply.cost_usd),
        latency_ms=reply.latency_ms,
        source=reply.source.value,
        maybe_billed=reply.maybe_billed,
        prompt_hash=reply.prompt_version,
    )


def _count(request: AskRequest, reply: Reply, seconds: float) -> None:
    provider, model = request.model.provider, request.model.model
    MODEL_CALLS.labels(provider, model, reply.status.value).inc()
    MODEL_SECONDS.labels(provider, model).observe(seconds)
    MODEL_TOKENS.labels(provider, model, "input").inc(reply.usage.input_tokens)
    MODEL_TOKENS.labels(provider, model, "output").inc(reply.usage.output_tokens)
    MODEL_TOKENS.labels(provider, model, "cached").inc(reply.usage.cached_tokens)
    if reply.cost_usd is None:
        MODEL_UNPRICED.labels(provider, model).inc()
    else:
        MODEL_COST.labels(provider, model, request.job).inc(float(reply.cost_usd))
