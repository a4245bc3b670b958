"""What the tests of alerts and dashboards share: the files as they are shipped, and a real Prometheus."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.ports import free_ports

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
GRAFANA: Final = ROOT / "deploy" / "grafana"
RULE_FILES: Final = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS: Final = sorted((GRAFANA / "dashboards").glob("*.json"))

needs_prometheus: Final = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Prometheus and promtool are missing: `apt-get install prometheus` (.ci/run does it)",
)

_START_SECONDS: Final = 30.0
_METRIC: Final = re.compile(r"\b(?:engross|temporal)_[a-z0-9_]+")


def rules() -> list[dict[str, Any]]:
    """All rules, recording and alerting."""
    groups = [group for file in RULE_FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels() -> list[tuple[str, dict[str, Any]]]:
    """Every panel that shows something, with the name of its dashboard."""
    pages = [(file.stem, json.loads(file.read_text())) for file in DASHBOARDS]
    return [(name, panel) for name, page in pages for panel in page["panels"] if panel["type"] != "row"]


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in PromQL. Those of recording rules (`engross:...`) are none."""
    return set(_METRIC.findall(expression))


@dataclass(frozen=True)
class Prometheus:
    """A server on a port of its own."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query: `metric` (labels) and `value` (time, value as text)."""
        result: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return result

    def states(self) -> dict[str, str]:
        """Alerts that are pending or firing: the worse of their states, by name."""
        found = sorted((alert["labels"]["alertname"], alert["state"]) for alert in self._get("alerts")["alerts"])
        return dict(sorted(found, key=lambda each: each[1] == "firing"))

    def _get(self, what: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{query}", timeout=10) as response:  # noqa: S310 - ours
            return json.loads(response.read())["data"]


@contextmanager
def prometheus(folder: Path, target: str, rule_files: list[str]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `target` and evaluates the rules every second, and is otherwise as shipped."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = rule_files
    [scrape] = config["scrape_configs"]
    del scrape["file_sd_configs"]
    scrape["static_configs"] = [{"targets": [target]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    [port] = free_ports(1)
    server = Prometheus(f"http://127.0.0.1:{port}")
    command = ("prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}")
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=output)
    try:
        _wait(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _wait(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/-/ready", timeout=2):  # noqa: S310 - ours
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):  # not listening yet, or still loading
            time.sleep(0.1)
    raise RuntimeError(f"Prometheus did not start: {log.read_text()[-500:]}")


def quick_rules(folder: Path) -> list[str]:
    """The shipped rules with every `for` shortened to a second: what they look at is as shipped, so is when."""
    for file in RULE_FILES:
        text = re.sub(r"^(\s+for): \S+$", r"\1: 1s", file.read_text(), flags=re.MULTILINE)
        (folder / file.name).write_text(text)
    return [str(folder / file.name) for file in RULE_FILES]


def in_words(values: Mapping[str, object]) -> str:
    """For messages of tests that wait in vain."""
    return ", ".join(f"{name}: {value}" for name, value in sorted(values.items())) or "none"
