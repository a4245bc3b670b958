"""The figures as JSON: everything that was measured, in names that mean the same on every machine."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import figures
from benchmarks.machine import Machine
from benchmarks.rounds import Sample
from benchmarks.scenarios import Scenario

_FORMAT: Final = 1

Measured = Mapping[Scenario, Mapping[str, Sequence[Sample]]]


def write(file: Path, machine: Machine, measured: Measured, *, rounds: int, seed: int) -> None:
    """Writes `file`, and the folders that it is in."""
    content = {
        "format": _FORMAT,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "seed": seed,
        "machine": asdict(machine),
        "scenarios": [_scenario(scenario, samples) for scenario, samples in measured.items()],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{json.dumps(content, indent=2)}\n", encoding="utf-8")


def _scenario(scenario: Scenario, samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    found = figures(scenario, samples)
    return {
        "name": scenario.name,
        "title": scenario.title,
        "parts": scenario.load.parts,
        "documents": scenario.load.documents,
        "in_flight": scenario.load.in_flight,
        "fan_in": scenario.load.fan_in,
        "latency_seconds": scenario.latency_seconds,
        "floor_seconds": scenario.floor_seconds,
        "contenders": [
            {
                "name": contender.name,
                "most_x_raw": contender.most_x_raw,
                "most_cpu_ms": contender.most_cpu_ms,
                "figures": asdict(found[contender.name]),
                "samples": [asdict(sample) for sample in samples[contender.name]],
            }
            for contender in scenario.contenders
        ],
    }
