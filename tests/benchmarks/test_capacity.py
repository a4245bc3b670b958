"""What a load needs: the arithmetic, and the simulation against what queueing theory says."""

import math

import pytest

from benchmarks.capacity import Load, main, needs, queues
from benchmarks.capacity_sim import Queue, simulate

SEED = 20261121


def test_what_is_busy_is_what_comes_times_what_it_takes() -> None:
    found = needs(Load(36_000, calls=1, call_seconds=6, tokens_a_call=2000))
    assert (found.requests_per_minute, found.tokens_per_minute) == (600, 1_200_000)
    assert found.model_slots == math.ceil(60 / 0.65 + math.sqrt(60))
    assert found.worker_cores == pytest.approx(10 * 0.013)
    assert found.history_gb == pytest.approx(36_000 * 24 * 7 * 2.6e3 / 1e9)


def test_documents_by_themselves_cost_more_than_in_batches() -> None:
    alone, together = needs(Load(3600, in_batches=0)), needs(Load(3600))
    assert alone.server_cores > 3 * together.server_cores
    assert alone.events_per_second == 14
    assert together.events_per_second == 5


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_slot_waits_as_long_as_the_formula_of_pollaczek_and_khinchine_says(load: float) -> None:
    [told] = simulate(load / 5, [Queue("one", 1, 5.0, visits=1)], seed=SEED, documents=200_000)
    squared = math.exp(0.75**2)  # of log-normal times, in squares of their mean
    expected = (load / 5) * squared * 25 / (2 * (1 - load))
    assert told.busy == pytest.approx(load, rel=0.03)
    assert told.mean == pytest.approx(expected, rel=0.15), f"seed {SEED}"


@pytest.mark.parametrize("hourly", [1_000, 10_000, 100_000])
def test_with_what_the_arithmetic_says_hardly_anything_waits(hourly: float) -> None:
    load = Load(hourly)
    for told in simulate(load.per_second, queues(load), seed=SEED):
        assert told.busy < 0.7
        assert told.p95 < load.call_seconds, f"seed {SEED}"


def test_with_too_few_slots_the_queue_grows_without_end() -> None:
    few = Queue("few", 9, 1.0, visits=1)
    short, long = (simulate(10, [few], seed=SEED, documents=count)[0] for count in (2_000, 20_000))
    assert long.longest > 5 * short.longest
    assert long.p50 > 5 * short.p50


def test_a_share_of_the_documents_comes_twice() -> None:
    [once] = simulate(1, [Queue("q", 50, 1.0, visits=1)], seed=SEED)
    [more] = simulate(1, [Queue("q", 50, 1.0, visits=1.5)], seed=SEED)
    assert more.busy == pytest.approx(1.5 * once.busy, rel=0.05)


def test_the_command_prints_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--documents-per-hour", "1000", "--call-seconds", "10"]) == 0
    printed = capsys.readouterr().out
    assert "requests_per_minute    20.00" in printed
    assert "queue models" in printed
