"""The process of `benchmarks.raw`, as others see it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.loads import Load, NotMeasured

_ROOT: Final = Path(__file__).resolve().parent.parent
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True)
class RawProcess:
    """A process that has imported everything and made its first call: what one writes to it, and what it says."""

    orders: asyncio.StreamWriter
    answers: asyncio.StreamReader

    async def run(self, load: Load) -> dict[str, float]:
        """`wall_seconds` and `cpu_seconds` of one load. Raises `NotMeasured`."""
        self.orders.write(f"{json.dumps(asdict(load))}\n".encode())
        await self.orders.drain()
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """The next line that it says."""
        line = await self.answers.readline()
        if not line:
            raise NotMeasured("the raw process has ended; what it said of it stands above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NotMeasured(f"raw: {answer['error']}")
        return answer


@asynccontextmanager
async def raw_process(url: str) -> AsyncIterator[RawProcess]:
    """Starts one that asks at `url`, and ends it at the end."""
    command = (sys.executable, "-m", "benchmarks.raw", url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdin=pipe, stdout=pipe)
    if process.stdin is None or process.stdout is None:
        raise NotMeasured("the raw process has no pipes")
    try:
        raw = RawProcess(process.stdin, process.stdout)
        await raw.answer()
        yield raw
    finally:
        process.stdin.close()  # it then ends by itself
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
