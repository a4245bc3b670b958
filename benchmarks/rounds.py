"""Runs the contenders of a scenario in turn, once to warm up and then round by round, and takes their figures."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.cpu import Cpu, Meter, difference
from benchmarks.histories import History, read_histories
from benchmarks.loads import Load, NotMeasured, peak
from benchmarks.scenarios import Competition, Contender, Scenario
from benchmarks.stack import StandIn


@dataclass(frozen=True)
class Sample:
    """One contender in one round. `cpu` in seconds by process, `client` being whoever submits or calls.

    `calls_at_once` is the most that were in flight, None where calls take no time; `load_average` that of the last
    minute when the round began, others' work included. `history` is None where no run took part.
    """

    round: int
    seed: int
    wall_seconds: float
    cpu: Cpu
    calls: int
    input_tokens: int
    calls_at_once: int | None
    load_average: float
    history: History | None


@dataclass(frozen=True)
class Bench:
    """A running stack, and what measures it."""

    competition: Competition
    stand_in: StandIn
    meter: Meter
    seeds: Iterator[int]
    report: Callable[[str], None]

    async def measure(self, scenario: Scenario, rounds: int) -> dict[str, list[Sample]]:
        """The samples of each contender, by name. Raises `NotMeasured`."""
        samples: dict[str, list[Sample]] = {contender.name: [] for contender in scenario.contenders}
        for number in range(rounds + 1):
            for contender in scenario.contenders:
                sample = await self._sample(scenario, contender, number)
                turn = f"round {number} of {rounds}" if number else "warm-up"
                self.report(f"({scenario.name}) {turn}: {contender.name} {sample.wall_seconds:.2f} s")
                if number:
                    samples[contender.name].append(sample)
        return samples

    async def _sample(self, scenario: Scenario, contender: Contender, number: int) -> Sample:
        load = replace(scenario.load, seed=next(self.seeds))
        latency = scenario.latency_seconds
        await asyncio.to_thread(self.stand_in.prepare, latency)
        await self.meter.rest()
        load_average, before = os.getloadavg()[0], self.meter.read()
        ended = await contender.run(self.competition, load)
        await self.meter.rest()  # what the servers do after the last answer is part of the price
        used = difference(before, self.meter.read())
        calls = await self._calls(contender, load)
        return Sample(
            round=number,
            seed=load.seed,
            wall_seconds=ended.wall_seconds,
            cpu={**used, "client": ended.client_cpu_seconds},
            calls=len(calls),
            input_tokens=sum(call["input_tokens"] for call in calls),
            calls_at_once=peak([call["at"] for call in calls], latency) if latency else None,
            load_average=load_average,
            history=await read_histories(self.competition.temporal, ended.run_ids) if ended.run_ids else None,
        )

    async def _calls(self, contender: Contender, load: Load) -> list[dict[str, Any]]:
        """The calls that came. Raises `NotMeasured` when they are more or fewer than those of the load."""
        calls = await asyncio.to_thread(self.stand_in.calls)
        if len(calls) != load.calls:
            raise NotMeasured(f"{contender.name} made {len(calls)} calls, and {load.calls} are measured")
        return calls
