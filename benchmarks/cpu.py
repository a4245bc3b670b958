"""The CPU time that processes use, each told apart."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

import psutil

from workers.local.services import WORKER
from workers.local.state import ProcessRecord

PARSERS: Final = "parsers"

_LOOK_SECONDS: Final = 0.25
_REST: Final = 0.2  # of one core, all processes together
_LONGEST_REST_SECONDS: Final = 10.0

Cpu = Mapping[str, float]  # seconds by process


class Meter:
    """Reads the CPU time of a stack's processes. The worker's children count as `parsers`."""

    def __init__(self, records: Iterable[ProcessRecord]) -> None:
        self._processes = {record.name: psutil.Process(record.pid) for record in records}

    def read(self) -> Cpu:
        """Seconds since each process began, user and system."""
        read = {name: _own(process) for name, process in self._processes.items()}
        worker = self._processes[WORKER]
        return read | {PARSERS: _ended(worker) + sum(_own(each) + _ended(each) for each in _descendants(worker))}

    def threads(self) -> Mapping[str, int]:
        return {name: process.num_threads() for name, process in self._processes.items()}

    async def rest(self) -> None:
        """Waits until the processes have next to nothing to do: servers go on for a while after the last answer."""
        deadline = time.monotonic() + _LONGEST_REST_SECONDS
        before, used = self.read(), 1.0
        while used > _REST and time.monotonic() < deadline:
            began = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
            now = self.read()
            used = sum(difference(before, now).values()) / (time.monotonic() - began)
            before = now


def difference(before: Cpu, after: Cpu) -> Cpu:
    """What was used in between."""
    return {name: after[name] - before[name] for name in after}


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _ended(process: psutil.Process) -> float:
    """What children used that have ended."""
    times = process.cpu_times()
    return times.children_user + times.children_system


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)
