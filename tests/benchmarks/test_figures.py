import pytest

from benchmarks.figures import Spread, figures, spread, verdict
from benchmarks.scenarios import Contender
from tests.benchmarks.samples import never_run, sample, scenario

SINGLE = Contender("single", never_run, most_x_raw=2.0, most_cpu_ms=14)


def test_a_spread_is_median_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_ratios_are_taken_round_by_round() -> None:
    # The second round was slow for both: the medians alone would say 3.
    samples = {"raw": [sample(1.0), sample(4.0), sample(1.0)], "single": [sample(2.0), sample(8.0), sample(3.0)]}
    found = figures(scenario(SINGLE), samples)
    assert found["single"].x_raw == Spread(2.0, 2.0, 3.0)
    assert found["raw"].x_raw is None
    assert found["raw"].x_floor is not None
    assert found["raw"].x_floor.most == pytest.approx(4.0 / 0.6)


def test_cpu_events_and_bytes_are_those_of_a_document() -> None:
    samples = {"raw": [sample(1.0)], "single": [sample(2.0, cpu=0.5, history=(2400, 100_000))]}
    found = figures(scenario(SINGLE), samples)["single"]
    assert found.cpu_ms["valkey"].median == pytest.approx(5.0)
    assert found.worker_and_server_ms.median == pytest.approx(15.0)  # worker, parsers, Temporal
    assert (found.events, found.bytes) == (24.0, 1000.0)
    assert found.documents_per_second.median == 50.0


def test_without_latency_there_is_no_floor_and_without_runs_no_history() -> None:
    found = figures(scenario(latency_seconds=0.0), {"raw": [sample(1.0)]})["raw"]
    assert (found.x_floor, found.events, found.bytes) == (None, None, None)


@pytest.mark.parametrize(
    ("wall", "cpu", "told"),
    [
        (2.0, 0.4, "<= 2x raw: met, <= 14 CPU-ms: met"),
        (2.1, 0.5, "<= 2x raw: missed, <= 14 CPU-ms: missed"),
    ],
)
def test_a_verdict_names_each_aim(wall: float, cpu: float, told: str) -> None:
    found = figures(scenario(SINGLE), {"raw": [sample(1.0)], "single": [sample(wall, cpu=cpu)]})
    assert verdict(SINGLE, found["single"]) == told
    assert verdict(Contender("raw", never_run), found["raw"]) == ""
