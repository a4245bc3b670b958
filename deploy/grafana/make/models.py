"""Whether the providers answer, how quickly, and how good their answers are."""

from typing import Final

from panels import Dashboard, Panel, Query, Row, grown, one, per_minute, quantile, quantiles

_ALL: Final = 'provider=~"$provider", job=~"$job", tenant=~"$tenant"'
_CALLS: Final = f"engross_model_calls_total{{{_ALL}}}"
_VALID: Final = f'engross_model_calls_total{{{_ALL}, status="valid"}}'
_ERRORS: Final = f"engross_model_errors_total{{{_ALL}}}"
_SECONDS: Final = 'engross_model_seconds_bucket{provider=~"$provider", job=~"$job"}'
_REPAIRS: Final = 'engross_repairs_total{job=~"$job", tenant=~"$tenant"}'
_SERVED: Final = 'engross_completions_served_total{job=~"$job", tenant=~"$tenant"}'


def _rate(selector: str, by: str) -> str:
    return f"sum by ({by}) (rate({selector}[$__rate_interval]))"


_AVAILABILITY: Final = Row(
    "Do they answer",
    (
        Panel(
            "Replies",
            "A minute, by model and kind: valid, invalid, truncated, refused, filtered.",
            "short",
            one(per_minute(_CALLS, "model, status"), "{{model}} {{status}}"),
            stacked=True,
        ),
        Panel(
            "Share of calls that failed",
            "Calls that ended in an error of the connection or the provider, rate limits included.",
            "percentunit",
            one(
                f"{_rate(_ERRORS, 'provider')} / ({_rate(_ERRORS, 'provider')}"
                f" + ({_rate(_CALLS, 'provider')} or {_rate(_ERRORS, 'provider')} * 0) > 0)",
                "{{provider}}",
            ),
            top=1,
        ),
        Panel(
            "Errors",
            "A minute, by name. docs/model-calls.md says what follows on each.",
            "short",
            one(per_minute(_ERRORS, "provider, error"), "{{provider}} {{error}}"),
            stacked=True,
        ),
        Panel(
            "Circuits",
            "0 closed, 0.5 tries again, 1 open: nobody calls this provider. `engross circuits`.",
            "short",
            one('max by (provider) (engross_circuit_state{provider=~"$provider"})', "{{provider}}"),
            top=1,
        ),
        Panel(
            "Circuits that opened",
            "In the time that is shown.",
            "short",
            one(grown('engross_circuit_opened_total{provider=~"$provider"}', "provider"), "{{provider}}"),
            kind="bargauge",
            steps=((1, "orange"),),
        ),
        Panel(
            "Maybe billed",
            "A minute: calls that vanished in flight.",
            "short",
            one(per_minute(f"engross_maybe_billed_total{{{_ALL}}}", "provider, model"), "{{provider}} {{model}}"),
        ),
    ),
)

_LATENCY: Final = Row(
    "How quickly",
    (
        Panel(
            "Time of a call, by model",
            "Half of the calls, 95 and 99 in a hundred are quicker. Waits for limits are not in it.",
            "s",
            quantiles(_SECONDS, "model", "{{model}}"),
            width=12,
        ),
        Panel(
            "Time of a call, by job and step",
            "95 calls in a hundred are quicker.",
            "s",
            one(quantile(0.95, _SECONDS, "job, step"), "{{job}} {{step}}"),
            width=12,
        ),
    ),
)

_QUALITY: Final = Row(
    "How good",
    (
        Panel(
            "Valid at once",
            "Share of the replies that could be used as they came, in the time that is shown.",
            "percentunit",
            one(
                f"({grown(_VALID, 'model')} or {grown(_CALLS, 'model')} * 0) / ({grown(_CALLS, 'model')} > 0)",
                "{{model}}",
            ),
            kind="bargauge",
            top=1,
        ),
        Panel(
            "Repairs",
            "A minute, by rung: fixed by code, asked again, a stronger model. The first one costs nothing.",
            "short",
            one(per_minute(_REPAIRS, "rung"), "{{rung}}"),
            stacked=True,
        ),
        Panel(
            "Replies by job",
            "In the time that is shown, by job, model and kind.",
            "short",
            one(f"sort_desc({grown(_CALLS, 'job, model, status')} > 0)"),
            kind="table",
        ),
    ),
)

_WAITS: Final = Row(
    "Waits and kept replies",
    (
        Panel(
            "Calls that had to wait",
            "A minute, by reason: limit (ENGROSS_LIMITS or the provider's), budget, circuit.",
            "short",
            one(
                per_minute('engross_calls_postponed_total{provider=~"$provider"}', "provider, why"),
                "{{provider}} {{why}}",
            ),
        ),
        Panel(
            "Time in limits",
            "How long calls wait for their turn, by provider.",
            "s",
            quantiles('engross_limit_wait_seconds_bucket{provider=~"$provider"}', "provider", "{{provider}}"),
        ),
        Panel(
            "Kept replies",
            "A minute: replies that needed no call. cached: an equal request; recovered: a worker died after its call.",
            "short",
            (
                Query(per_minute(_SERVED, "source"), "{{source}}"),
                Query("sum(rate(engross_completions_unstored_total[$__rate_interval])) * 60", "could not be kept"),
                Query("sum(rate(engross_completions_rejected_total[$__rate_interval])) * 60", "wrong signature"),
            ),
        ),
    ),
)

MODELS: Final = Dashboard(
    "models",
    "models",
    "Whether the providers answer, how quickly, and how good their answers are.",
    ("provider", "job", "tenant"),
    (_AVAILABILITY, _LATENCY, _QUALITY, _WAITS),
)
