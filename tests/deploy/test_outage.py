"""An outage of the provider, and the alerts that it raises: a stack, the stand-in, and a real Prometheus."""

import itertools
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.monitoring import Prometheus, in_words, needs_prometheus, prometheus, quick_rules
from tests.deploy.synthetic import COUNTERS, GAUGES, HISTOGRAMS
from tests.e2e.conftest import Engross, running

# Gauges are looked up every 15 seconds, and a busy machine takes its time over each.
pytestmark = [needs_prometheus, pytest.mark.xdist_group("outage"), pytest.mark.timeout(360)]

SECONDS: Final = 90.0
DOCUMENTS: Final = 8


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engross, Prometheus]]:
    folder = tmp_path_factory.mktemp("outage")
    with running(folder, ENGROSS_MODEL="openai:stand-in") as engross:
        target = f"127.0.0.1:{engross.environment['ENGROSS_HEALTH_PORT']}"
        with prometheus(folder, target, quick_rules(folder)) as server:
            yield engross, server


def submit(engross: Engross, folder: Path) -> None:
    """New documents, so that no kept reply answers. Doesn't wait for them."""
    numbers = itertools.count(random.randrange(10**6))  # noqa: S311 - no secret
    for number in itertools.islice(numbers, DOCUMENTS):
        (folder / f"{number}.txt").write_text(f"SHOP {number}\nDATE: 25/12/2018\nTOTAL: {number}.50\n")
    submitted = engross("submit", "receipt", str(folder))
    assert submitted.returncode == 0, submitted.stderr


def until(server: Prometheus, what: Callable[[dict[str, str]], bool], reason: str) -> None:
    """Waits until `what` holds of the alerts and their states."""
    deadline = time.monotonic() + SECONDS
    while not what(states := server.states()):
        assert time.monotonic() < deadline, f"{reason}; alerts: {in_words(states)}"
        time.sleep(0.5)


def test_an_outage_raises_its_alerts_and_its_end_ends_them(watched: tuple[Engross, Prometheus], tmp_path: Path) -> None:
    engross, server = watched
    until(
        server,
        lambda states: bool(server.query("engross_circuit_state")) and "firing" not in states.values(),
        "a healthy worker raises an alert",
    )

    engross.script({"kind": "error", "status": 503, "times": 10_000})
    submit(engross, tmp_path)
    wanted = {"EngrossModelErrors", "EngrossCircuitOpen"}
    until(
        server,
        lambda states: all(states.get(name) == "firing" for name in wanted),
        f"{wanted} did not fire",
    )

    engross.script()
    engross("resume", "--all")  # rather than half a minute later by itself
    until(server, lambda states: "EngrossCircuitOpen" not in states, "EngrossCircuitOpen did not end")


def test_the_synthetic_page_is_like_a_real_one(watched: tuple[Engross, Prometheus]) -> None:
    engross, _ = watched
    url = f"http://127.0.0.1:{engross.environment['ENGROSS_HEALTH_PORT']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as response:
        families = {family.name: family for family in text_string_to_metric_families(response.read().decode())}
    expected = {name.removesuffix("_total"): set(sets[0]) for name, sets in COUNTERS.items()}
    expected |= {name: set(labels) for name, labels in (*GAUGES.items(), *HISTOGRAMS.items())}
    ours = {name: labels for name, labels in expected.items() if name.startswith("engross_")}
    assert ours.keys() - families.keys() == set()
    for name, labels in ours.items():
        for sample in families[name].samples:
            assert set(sample.labels) - {"le"} == labels, sample.name
