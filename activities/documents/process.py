"""A parser process as its pool sees it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from activities.documents import frames
from activities.documents.frames import Header

START_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0

_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "SYSTEMROOT")


class ParserProcess:
    """One warm child. Serves one job at a time; whoever doesn't read a job's reply must kill it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a parser process needs pipes")
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._busy = self._killed = False
        self.jobs = 0

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """A child that has loaded its libraries. Raises OSError or TimeoutError when it doesn't get there."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # parsers print what they stumble over, document text included
            env=_environment(),
            start_new_session=True,  # Ctrl-C in a terminal is for the worker, which then closes its pool
        )
        child = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await frames.receive(child._stdout)
        except (asyncio.IncompleteReadError, frames.FrameTooLarge, ValueError) as error:
            await child.stop()
            raise OSError("the parser process ended while it started") from error
        except BaseException:
            await child.stop()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether it waits for a job: alive, and nobody left a reply unread."""
        return not self._busy and not self._ended

    @property
    def _ended(self) -> bool:
        if self._process.returncode is not None or self._stdout.at_eof():
            return True
        try:
            os.kill(self._process.pid, 0)  # the system knows before the event loop has been told
        except ProcessLookupError:
            return True
        return False

    async def ask(self, header: Header, body: bytes) -> tuple[Header, bytes]:
        """The reply to one job; errors as in `frames.receive`, or OSError when the child is gone."""
        self.jobs += 1
        self._busy = True
        await frames.send(self._stdin, header, body)
        reply, text = await frames.receive(self._stdout)
        self._busy = bool(reply.get("last"))
        return reply, text

    def kill(self) -> None:
        """Ends the process now; `stop` must still follow."""
        # Once, and not while it ends by itself: `Process.kill` looks for the exit status, which asyncio waits for too.
        if not self._killed and not self._ended:
            self._killed = True
            self._process.kill()

    async def stop(self) -> None:
        """Kills and reaps. Nobody may be waiting in `ask`."""
        self.kill()
        self._stdin.close()
        await _drain(self._stdout)
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:  # closed its end and lives on
            self._process.kill()
            await self._process.wait()
        # asyncio closes the transport in a callback after the exit; a loop that ends before it would warn.
        await asyncio.sleep(0)


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(frames.MAX_HEADER):
        pass


def _environment() -> dict[str, str]:
    """No keys, no settings: a parser that was taken over finds nothing to steal."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
        # One thread, one arena: the limits of memory and CPU time count for the whole process.
        "MALLOC_ARENA_MAX": "1",
        "RAYON_NUM_THREADS": "1",
        "TOKIO_WORKER_THREADS": "1",
    }


def child_command(memory_mb: int, max_expanded_mb: int) -> tuple[str, ...]:
    """How to start a child."""
    return (sys.executable, "-m", "activities.documents.child", str(memory_mb), str(max_expanded_mb))
