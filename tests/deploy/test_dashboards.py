"""Dashboards are as they are written, every panel explains itself, and a real Prometheus answers every query."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.deploy.monitoring import (
    DASHBOARDS,
    GRAFANA,
    RULE_FILES,
    Prometheus,
    needs_prometheus,
    panels,
    prometheus,
)
from tests.deploy.synthetic import served

UNITS: Final = {"short", "percentunit", "s", "currencyUSD"}
# What Grafana fills in: how the time is chosen on the page, and `All` for what a page can be narrowed by.
FILLED_IN: Final = {"$__rate_interval": "10s", "$__range": "1m", "$job": ".*", "$tenant": ".*", "$provider": ".*"}
SECONDS: Final = 60.0


def filled_in(expression: str) -> str:
    for variable, value in FILLED_IN.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def test_the_files_are_what_their_source_makes() -> None:
    ended = subprocess.run([sys.executable, GRAFANA / "make", "--check"], check=False)
    assert ended.returncode == 0, "run `python deploy/grafana/make`"


def test_there_are_five_pages() -> None:
    assert [file.stem for file in DASHBOARDS] == ["approvals", "batches", "cost", "models", "overview"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_page_is_narrowed_only_by_what_it_offers(file: Any) -> None:
    page = json.loads(file.read_text())
    offered = {variable["name"] for variable in page["templating"]["list"]}
    used = set(re.findall(r"\$(?:\{)?([a-z]+)\b", json.dumps(page["panels"])))
    assert used == offered
    assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])


def test_every_panel_explains_itself() -> None:
    for page, panel in panels():
        name = f"{page}: {panel['title']}"
        assert panel["description"].endswith("."), name
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, name


def test_panels_lie_side_by_side() -> None:
    for file in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(file.read_text())["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, f"{file.stem}: {panel['title']} lies over another panel"
            taken |= cells


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with (
        served() as target,
        prometheus(tmp_path_factory.mktemp("prometheus"), target, [str(file) for file in RULE_FILES]) as server,
    ):
        yield server


@needs_prometheus
def test_prometheus_answers_every_query(busy: Prometheus) -> None:
    open_ = {
        f"{page}: {panel['title']}: {target['expr']}": target for page, panel in panels() for target in panel["targets"]
    }
    deadline = time.monotonic() + SECONDS
    while open_ and time.monotonic() < deadline:
        for name, target in list(open_.items()):
            series = busy.query(filled_in(target["expr"]))
            if series and any(float(each["value"][1]) >= 0 for each in series):  # not NaN
                check_legend(name, target["legendFormat"], series)
                del open_[name]
        time.sleep(0.5)
    assert not open_, "no answer: " + "; ".join(open_)


def check_legend(name: str, legend: str, series: list[dict[str, Any]]) -> None:
    """A label of the legend that a series has not would be an empty name."""
    for label in re.findall(r"{{(\w+)}}", legend):
        assert all(label in each["metric"] for each in series), f"{name}: a series has no {label}"


@needs_prometheus
def test_metrics_keep_their_own_job(busy: Prometheus) -> None:
    deadline = time.monotonic() + SECONDS
    while not (found := busy.query("engross_runs_total")):
        assert time.monotonic() < deadline, "nothing was scraped"
        time.sleep(0.2)
    assert {each["metric"]["job"] for each in found} == {"invoice"}
    assert {each["metric"]["job"] for each in busy.query("engross_runs_open")} == {"engross"}
