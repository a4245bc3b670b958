"""What a dashboard is made of, and its JSON as Grafana 10 and later read it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["timeseries", "stat", "bargauge", "table"]
Variable = Literal["job", "tenant", "provider"]

GRID_COLUMNS: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
# Where the values of a variable come from.
_WITH_JOBS: Final = '{__name__=~"engross_runs_total|engross_model_calls_total|engross_approvals_waiting"}'
_VALUES: Final = {
    "job": f"label_values({_WITH_JOBS}, job)",
    "tenant": f"label_values({_WITH_JOBS}, tenant)",
    "provider": "label_values(engross_circuit_state, provider)",
}
# Labels that say where a series was scraped: no columns of a table.
_UNSEEN: Final = ("Time", "__name__", "instance", "alertstate", "service_name")


@dataclass(frozen=True)
class Query:
    """PromQL, and the name of each series in the legend, where `{{label}}` stands for a label."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel. `base` is the colour of a value, `steps` are (from, colour) in rising order: those from there on.

    `unit` is one of Grafana's: short, percentunit, s, currencyUSD.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    base: str = "green"
    steps: tuple[tuple[float, str], ...] = ()
    stacked: bool = False
    top: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one heading, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One page; `variables` are what it can be narrowed by. `name` is its file and part of its address."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


def one(expr: str, legend: str = "") -> tuple[Query, ...]:
    """The queries of a panel that has one."""
    return (Query(expr, legend),)


def per_minute(selector: str, by: str) -> str:
    """How quickly counters grow, a minute, summed up by these labels."""
    return f"sum by ({by}) (rate({selector}[$__rate_interval])) * 60"


def grown(selector: str, by: str = "") -> str:
    """How much counters grew in the time that is shown.

    A counter with labels is born with its first event, which increase() doesn't see: what is new counts in full.
    """
    new = f"{selector} unless last_over_time({selector}[1h] offset $__range)"
    total = f"(({new}) or increase({selector}[$__range]))"
    return f"sum by ({by}) {total}" if by else f"sum{total}"


def quantile(share: float, selector: str, by: str) -> str:
    """A quantile of histograms, by these labels; `selector` is that of the buckets."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({selector}[$__rate_interval])))"


def quantiles(selector: str, by: str, legend: str) -> tuple[Query, ...]:
    """The usual three."""
    return tuple(Query(quantile(share, selector, by), f"p{share * 100:.0f} {legend}") for share in (0.5, 0.95, 0.99))


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """The whole page."""
    return {
        "uid": f"engross-{dashboard.name}",
        "title": f"Engross: {dashboard.title}",
        "description": dashboard.description,
        "tags": ["engross"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [
            {"type": "dashboards", "tags": ["engross"], "title": "Engross", "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "panels": list(_laid_out(dashboard.rows)),
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: Variable) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": _VALUES[name], "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row in rows:
        place = {"x": 0, "y": top, "w": GRID_COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        height = 4 if all(panel.kind == "stat" for panel in row.panels) else 8
        for panel in row.panels:
            if left + panel.width > GRID_COLUMNS:
                left, top = 0, top + height
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            number, left = number + 1, left + panel.width
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "targets": [_target(panel.kind, number, query) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind == "table":
        hidden = dict.fromkeys(_UNSEEN, True)
        body["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return body


def _target(kind: Kind, number: int, query: Query) -> dict[str, Any]:
    target = {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend}
    if kind == "timeseries":
        return {**target, "range": True}
    return {**target, "instant": True, "format": "table" if kind == "table" else "time_series"}


def _defaults(panel: Panel) -> dict[str, Any]:
    colours = [{"value": None, "color": panel.base}, *({"value": at, "color": colour} for at, colour in panel.steps)]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": colours}}
    if panel.top is not None:
        defaults["max"] = panel.top
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none"}
        defaults["custom"] = {"fillOpacity": 30 if panel.stacked else 5, "stacking": stacking, "showPoints": "never"}
    else:
        defaults["color"] = {"mode": "thresholds"}
    return defaults


_OPTIONS: Final[dict[Kind, dict[str, Any]]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "lcd"},
    "table": {"showHeader": True},
}
