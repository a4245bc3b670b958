"""Worker processes of a test's own, each for some of the task queues, to be killed, paused and stopped; and what to
count afterwards: calls, rows, accounts."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.e2e.conftest import Engross, clean_environment

LONG: Final = os.environ.get("FAULTS") == "long"
WORKFLOWS_AND_DOCUMENTS: Final = "workflows,documents"
DOCUMENTS: Final = "documents"
MODELS: Final = "models-openai"

# -P as in `engross up`: the folder that a worker is started in must not shadow modules.
_WORKER: Final = ("-P", "-m", "starters.cli", "worker")
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0
_LOOK_EVERY_SECONDS: Final = 0.1
_FROZEN_SECONDS: Final = 0.5
_KILLING_SECONDS: Final = 1500.0 if LONG else 300.0
_LISTED: Final = 1000

_ROWS: Final = """
SELECT runs.document_name, runs.outcome, runs.error_type, runs.answer, runs.calls,
       (SELECT COALESCE(SUM(maybe_billed), 0) FROM spent WHERE spent.run_id = runs.run_id)
FROM runs WHERE runs.tenant = ?
"""


@contextmanager
def servers(folder: Path, **variables: str) -> Iterator[Engross]:
    """A stack without a worker. Those of a fleet serve no health page, and one parser is enough for each."""
    fixed = {**variables, "ENGROSS_HEALTH_PORT": "0", "ENGROSS_PARSERS": "1"}
    environment = clean_environment(folder / "home") | fixed
    engross = Engross(environment, folder)
    try:
        start_servers(engross)
        yield engross
    finally:
        stopped = engross("down")
        assert stopped.returncode == 0, stopped.stderr


def start_servers(engross: Engross) -> None:
    """Starts those that do not run."""
    started = engross("up", "--detach", "--no-worker")
    assert started.returncode == 0, started.stderr


def until(what: Callable[[], object], reason: str, seconds: float = 120) -> None:
    """Waits for `what` to be true; generous, as others may need the machine. `reason` says what it was in vain for."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited in vain: {reason}"
        time.sleep(_LOOK_EVERY_SECONDS)


# --- worker processes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Worker:
    """One process, and its log as JSON lines."""

    process: subprocess.Popen[bytes]
    log: Path

    def polls(self) -> bool:
        """Whether it has got to the point where it takes work. Fails when it has ended on its own."""
        log = self.log.read_text()
        assert self.process.poll() is None, f"a worker has ended: {log.splitlines()[-1:]}"
        return '"worker is polling"' in log

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        """The lines of its log that have these fields. A line that a kill has cut off is none."""
        whole = [line for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in map(json.loads, whole) if wanted.items() <= line.items()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()

    def freeze_and_kill(self) -> None:
        """What the server hands to it in its last moments dies with it: most steps are too short to be met else."""
        self.send(signal.SIGSTOP)
        time.sleep(_FROZEN_SECONDS)
        self.kill()

    def stop(self) -> int:
        """Tells it to end, and gives its exit code once it has drained."""
        self.send(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@dataclass
class Fleet:
    """`with Fleet(engross) as fleet:` kills at the end what still runs."""

    engross: Engross
    workers: list[Worker] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def start(self, queues: str, *, command: Sequence[str] = _WORKER, **variables: str) -> Worker:
        """A worker that is on its way; `command` is what the interpreter is called with before the queues."""
        log = self.engross.folder / f"worker-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *command, "--queues", queues],
                env={**self.engross.environment, **variables},
                cwd=self.engross.folder,
                stdout=file,
                stderr=file,
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def ready(self, *queues: str, command: Sequence[str] = _WORKER) -> list[Worker]:
        """One worker for each of `queues`, all polling."""
        started = [self.start(each, command=command) for each in queues]
        until(lambda: all(worker.polls() for worker in started), "workers did not get to polling", _START_SECONDS)
        return started

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        """The lines of all logs that have these fields."""
        return [line for worker in self.workers for line in worker.lines(**wanted)]

    def kill_by_turns(
        self,
        queues: str,
        crew: Sequence[Worker],
        *,
        every: float,
        most: int,
        done: Callable[[], object],
        when: Callable[[], object] = lambda: True,
    ) -> int:
        """Kills the oldest of `crew`, who serve `queues`, and starts another one, until `done`: how often.

        It does so `every` so many seconds, `most` times, and only `when` that is true. Not before the next one polls
        too: however slow the machine, each has had its time to work.
        """
        kills, alive = 0, deque(crew)
        turn = time.monotonic() + every
        deadline = time.monotonic() + _KILLING_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"not done after {kills} kills"
            if kills < most and time.monotonic() >= turn and alive[0].polls() and alive[1].polls() and when():
                alive.popleft().freeze_and_kill()
                alive.append(self.start(queues))
                kills += 1
                turn = time.monotonic() + every
            time.sleep(_LOOK_EVERY_SECONDS)
        return kills


# --- what goes in, and what came of it --------------------------------------------------------------------------


def write_receipts(folder: Path, n: int, seed: int) -> dict[str, float]:
    """`n` receipts of random totals and their file names. Each is longer than the one before, see `calls_by_name`."""
    numbers = random.Random(seed)  # noqa: S311 - totals of receipts
    folder.mkdir()
    totals = {f"{seed}-{i:04}.txt": numbers.randrange(1, 10**6) / 100 for i in range(n)}
    for i, (name, total) in enumerate(totals.items()):
        items = "\n".join(f"ITEM {seed:06}/{item:04}" for item in range(i + 1))
        head = f"SHOP {i} ENTERPRISE\nNO 5 JALAN DEDAP 13\n81100 JOHOR BAHRU\nDATE: 25/12/2018"
        (folder / name).write_text(f"{head}\n{items}\nTOTAL: {total:.2f}\n")
    return totals


def reply_after(engross: Engross, seconds: float) -> None:
    """Every call takes that long from now on, until the next script."""
    engross._control("latency", {"seconds": seconds})


def in_flight(engross: Engross) -> int:
    """Calls that wait for their reply."""
    return sum(call["status"] is None and not call["hung_up"] for call in engross.calls())


def calls_by_name(engross: Engross, names: Sequence[str]) -> Counter[str]:
    """How many calls arrived for each of the receipts, by length: all else differs in every prompt, by its fence."""
    lengths = Counter(call["input_tokens"] for call in engross.calls())
    assert len(lengths) == len(names), f"calls for {len(lengths)} documents of {len(names)}"
    return Counter(dict(zip(names, (lengths[length] for length in sorted(lengths)), strict=True)))


@dataclass(frozen=True)
class Row:
    """How a run ended, from the result store. `maybe_billed`: its calls that vanished, as its accounts say."""

    document: str
    outcome: str
    error: str | None
    total: float | None
    calls: int
    maybe_billed: int


def rows(engross: Engross, tenant: str) -> list[Row]:
    """The rows of a tenant. Read past our own code, which the test is about."""
    file = Path(engross.environment["ENGROSS_HOME"]) / "results.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        found = database.execute(_ROWS, (tenant,)).fetchall()
    return [
        Row(name, outcome, error, json.loads(answer).get("total") if answer else None, calls, maybe_billed)
        for name, outcome, error, answer, calls, maybe_billed in found
    ]


def running(engross: Engross, tenant: str) -> list[str]:
    """The runs of a tenant that have not ended, as Temporal knows them; needs no worker."""
    listed = engross("list", "--tenant", tenant, "--limit", str(_LISTED), "--json")
    assert listed.returncode == 0, listed.stderr
    states = map(json.loads, listed.stdout.splitlines())
    return [state["run_id"] for state in states if state["outcome"] in (None, "parked")]
