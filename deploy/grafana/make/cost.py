"""What it costs, who for, and how much of the budgets is left."""

from typing import Final

from panels import Dashboard, Panel, Query, Row, grown, one, per_minute

_ALL: Final = '{provider=~"$provider", job=~"$job", tenant=~"$tenant"}'
_COST: Final = f"engross_model_cost_usd_total{_ALL}"
_TOKENS: Final = f"engross_model_tokens_total{_ALL}"
_CACHED: Final = 'engross_model_tokens_total{provider=~"$provider", job=~"$job", tenant=~"$tenant", kind="cached"}'
_INPUT: Final = (
    'engross_model_tokens_total{provider=~"$provider", job=~"$job", tenant=~"$tenant", kind=~"input|cached"}'
)
_CALLS: Final = f"engross_model_calls_total{_ALL}"
_SERVED: Final = 'engross_completions_served_total{job=~"$job", tenant=~"$tenant"}'
_RUNS: Final = 'engross_runs_total{job=~"$job", tenant=~"$tenant", outcome!="parked"}'
_KEPT: Final = f"({grown(_SERVED)} or vector(0))"
_NEARLY: Final = ((0.8, "orange"), (1, "red"))


def _hourly(by: str) -> str:
    return f"sum by ({by}) (rate({_COST}[$__rate_interval])) * 3600"


def _used(scope: str) -> str:
    used = f'max by (name) (engross_budget_used_usd{{scope="{scope}"}})'
    return f'{used} / (max by (name) (engross_budget_limit_usd{{scope="{scope}"}}) > 0)'


_NOW: Final = Row(
    "In the time that is shown",
    (
        Panel("Cost", "Of all replies whose price is known.", "currencyUSD", one(grown(_COST)), kind="stat", width=4),
        Panel(
            "Cost of a run",
            "Cost by the runs that ended. Failed, invalid and repaired replies included.",
            "currencyUSD",
            one(f"{grown(_COST)} / ({grown(_RUNS)} > 0)"),
            kind="stat",
            width=4,
        ),
        Panel(
            "Kept replies",
            "Share of the replies that needed no call, because an equal one had been paid for.",
            "percentunit",
            one(f"{_KEPT} / ({_KEPT} + {grown(_CALLS)} > 0)"),
            kind="stat",
            width=4,
            top=1,
        ),
        Panel(
            "Cached input",
            "Share of the input tokens that the provider had cached and charged less for.",
            "percentunit",
            one(f"({grown(_CACHED)} or vector(0)) / ({grown(_INPUT)} > 0)"),
            kind="stat",
            width=4,
            top=1,
        ),
        Panel(
            "Today's budget",
            "Used and reserved of ENGROSS_BUDGET_DAY_USD since midnight UTC. Empty: no such budget is set.",
            "percentunit",
            one(_used("day")),
            kind="stat",
            width=4,
            steps=_NEARLY,
        ),
        Panel(
            "Unpriced replies",
            "Replies whose price nobody knows: they are missing in all costs here. ENGROSS_PRICES gives a price.",
            "short",
            one(grown('engross_model_unpriced_calls_total{provider=~"$provider"}') + " or vector(0)"),
            kind="stat",
            width=4,
            steps=((1, "orange"),),
        ),
    ),
)

_BY: Final = Row(
    "Cost an hour",
    (
        Panel("By model", "US dollars an hour.", "currencyUSD", one(_hourly("model"), "{{model}}"), stacked=True),
        Panel("By job", "US dollars an hour.", "currencyUSD", one(_hourly("job"), "{{job}}"), stacked=True),
        Panel(
            "By tenant",
            "US dollars an hour. `other` are the tenants beyond ENGROSS_METRIC_TENANTS.",
            "currencyUSD",
            one(_hourly("tenant"), "{{tenant}}"),
            stacked=True,
        ),
    ),
)

_BUDGETS: Final = Row(
    "Budgets",
    (
        Panel(
            "Today",
            "Used and reserved against ENGROSS_BUDGET_DAY_USD. `engross budget show`.",
            "currencyUSD",
            (
                Query('max(engross_budget_used_usd{scope="day"})', "used"),
                Query('max(engross_budget_limit_usd{scope="day"})', "limit"),
            ),
        ),
        Panel(
            "Tenants, this month",
            "Share of each tenant's budget that is used. At 1 its runs park.",
            "percentunit",
            one(_used("tenant"), "{{name}}"),
            kind="bargauge",
            steps=_NEARLY,
            top=1,
        ),
        Panel(
            "Calls that wait for money",
            "A minute: calls that no budget covers. Their runs park.",
            "short",
            one(
                per_minute('engross_calls_postponed_total{provider=~"$provider", why="budget"}', "provider"),
                "{{provider}}",
            ),
        ),
    ),
)

_TOKEN_ROW: Final = Row(
    "Tokens and calls",
    (
        Panel("Tokens", "A minute, by kind.", "short", one(per_minute(_TOKENS, "kind"), "{{kind}}"), stacked=True),
        Panel(
            "Cost by job and model",
            "In the time that is shown.",
            "currencyUSD",
            one(f"sort_desc({grown(_COST, 'job, model')})"),
            kind="table",
        ),
        Panel(
            "Maybe billed",
            "Calls that vanished in flight, in the time that is shown: no reply came, and they may be on the bill.",
            "short",
            one(f"{grown(f'engross_maybe_billed_total{_ALL}', 'provider, model')}", "{{provider}} {{model}}"),
            kind="bargauge",
            steps=((1, "orange"),),
        ),
    ),
)

COST: Final = Dashboard(
    "cost",
    "cost",
    "What model calls cost, by model, job and tenant, against the budgets.",
    ("job", "tenant", "provider"),
    (_NOW, _BY, _BUDGETS, _TOKEN_ROW),
)
