"""`python -m benchmarks`: measures, prints tables, writes JSON."""

import argparse
import itertools
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.cpu import Meter
from benchmarks.loads import NotMeasured
from benchmarks.machine import Machine, at_rest
from benchmarks.raw_process import raw_process
from benchmarks.rounds import Bench
from benchmarks.scenarios import SCENARIOS, Competition, Scenario
from benchmarks.stack import StandIn, own_stack
from benchmarks.tables import scenario_tables
from benchmarks.written import Measured, write
from engross.errors import EngrossError
from engross.settings import Settings
from starters.batches import BatchClient
from starters.cli.output import note
from starters.connection import connect
from starters.running import run
from workers.local.stack import StackStatus
from workers.local.state import Report

_COLUMNS: Final = 100
_SEEDS: Final = 10**6


def main() -> int:
    options = _options()
    out = Console(width=_COLUMNS, highlight=False, markup=False)
    seed = random.randrange(_SEEDS) if options.seed is None else options.seed  # noqa: S311 - names of documents
    file = options.json.absolute() if options.json else None  # before the folder changes
    scenarios = _chosen(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stack must not outlive this process
    try:
        with own_stack(note) as (settings, status):
            work = _measured(settings, status, scenarios, options.rounds, seed, note)
            machine, measured = run(work)
    except (NotMeasured, EngrossError) as error:
        note(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        note("benchmarks: interrupted")
        return 130
    for scenario, samples in measured.items():
        for part in scenario_tables(scenario, samples):
            out.print(part)
    out.print(f"\n{machine.told(options.rounds, seed)}")
    if file:
        write(file, machine, measured, rounds=options.rounds, seed=seed)
        note(f"written to {options.json}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measures Engross against the floor.")
    parser.add_argument("--scenario", choices=[each.name for each in SCENARIOS], action="append", help="default: all")
    parser.add_argument("--rounds", type=_positive, default=5)
    parser.add_argument("--seed", type=int, help="of the documents; default: a random one, which is printed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE")
    parser.add_argument("--parts", type=_positive, help="other numbers of documents or chunks, for a quick look")
    parser.add_argument("--latency", type=float, metavar="SECONDS", help="another time for a call, for a quick look")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _chosen(options: argparse.Namespace) -> list[Scenario]:
    chosen = [each for each in SCENARIOS if not options.scenario or each.name in options.scenario]
    if options.parts is not None:
        chosen = [replace(each, load=replace(each.load, parts=options.parts)) for each in chosen]
    if options.latency is not None:
        chosen = [replace(each, latency_seconds=options.latency) for each in chosen]
    return chosen


async def _measured(
    settings: Settings, status: StackStatus, scenarios: Sequence[Scenario], rounds: int, seed: int, report: Report
) -> tuple[Machine, Measured]:
    stand_in, meter = StandIn(settings.standin_port), Meter(status.running)
    temporal = await connect(settings, status.endpoints)
    async with raw_process(stand_in.url) as raw, await BatchClient.connect(settings) as client:
        machine = await at_rest(meter, temporal)
        bench = Bench(Competition(raw, client, temporal), stand_in, meter, itertools.count(seed), report)
        return machine, {scenario: await bench.measure(scenario, rounds) for scenario in scenarios}


if __name__ == "__main__":
    sys.exit(main())
