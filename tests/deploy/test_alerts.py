"""Every alert fires when it should and not just below, has a section of the runbook, and asks for what there is."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typer.main import get_command

from engross import errors
from starters.cli.app import app
from tests.deploy.monitoring import (
    PROMETHEUS,
    ROOT,
    RULE_FILES,
    alerts,
    metrics_in,
    needs_prometheus,
    panels,
    rules,
)
from tests.deploy.synthetic import COUNTERS, GAUGES, HISTOGRAMS

TEST_FILES: Final = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS: Final = re.findall(r"^## (Engross\w+)$", RUNBOOK, re.MULTILINE)
SEEN: Final = (Path(__file__).parent / "temporal_metrics.txt").read_text().split()
# What Prometheus makes of a histogram.
PARTS: Final = re.compile(r"_(bucket|count|sum)$")


def promtool(*arguments: str | Path) -> None:
    ended = subprocess.run(
        ["promtool", *map(str, arguments)],  # noqa: S607 - Debian's and others' are in different places
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_prometheus
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", *RULE_FILES)


@needs_prometheus
@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
def test_alerts_fire_and_do_not_fire_just_below(file: Path) -> None:
    promtool("test", "rules", file)


def cases() -> list[dict[str, Any]]:
    return [
        case
        for file in TEST_FILES
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]


def test_every_alert_is_tested_both_ways() -> None:
    firing = {case["alertname"] for case in cases() if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases() if not case["exp_alerts"]}
    assert firing == silent == set(alerts())


def test_every_alert_has_its_section_in_the_runbook() -> None:
    assert sorted(SECTIONS) == sorted(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_sections_of_the_runbook_say_what_to_do() -> None:
    for section in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        if name in alerts():
            parts = re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)
            assert parts == ["What it means.", "What users see.", "Look at.", "Do.", "Over when."], name


@pytest.mark.parametrize("name", sorted(alerts()))
def test_alerts_say_how_urgent_and_what(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    if rule["labels"]["severity"] == "page" and name != "EngrossReplayFailing":
        assert "for" in rule, "nobody is woken by a moment"


def exists(name: str, documented: str) -> bool:
    whole = PARTS.sub("", name)
    return name in SEEN or whole in SEEN or any(re.search(rf"\b{each}\b", documented) for each in (name, whole))


def test_rules_and_dashboards_ask_for_metrics_that_exist() -> None:
    documented = (ROOT / "docs" / "metrics.md").read_text()
    asked = {name for rule in rules() for name in metrics_in(rule["expr"])}
    asked |= {name for _, panel in panels() for target in panel["targets"] for name in metrics_in(target["expr"])}
    assert {name for name in asked if not exists(name, documented)} == set()


def test_the_synthetic_page_has_no_metric_of_its_own() -> None:
    documented = (ROOT / "docs" / "metrics.md").read_text()
    names = (*COUNTERS, *GAUGES, *HISTOGRAMS)
    assert [name for name in names if not exists(name, documented)] == []


def test_rules_name_errors_that_exist() -> None:
    lists = [match for rule in rules() for match in re.findall(r'error(?:=~?|!~|!=)"(\w[^"]*)"', rule["expr"])]
    named = {name for each in lists for name in each.split("|")}
    assert {name for name in named if not hasattr(errors, name)} == set()
    assert named


def test_the_runbook_names_commands_that_exist() -> None:
    unknown = set()
    for words in re.findall(r"(?:^|`)engross ([a-z][a-z -]*)", RUNBOOK, re.MULTILINE):
        command: Any = get_command(app)
        for word in words.split():
            if not hasattr(command, "commands") or word.startswith("-"):
                break
            if word not in command.commands:
                unknown.add(words.strip())
                break
            command = command.commands[word]
    assert unknown == set()
