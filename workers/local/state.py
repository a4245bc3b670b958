"""What the stack remembers between commands: `stack.json`, and a lock so that one command changes it at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engross.endpoints import Endpoints, stack_file
from engross.errors import ConfigurationError

LOCK_FILE: Final = "lock"
LOG_FOLDER: Final = "logs"

Report = Callable[[str], None]


class ProcessRecord(BaseModel):
    """A process of the stack. `create_time` (see `processes.birth`) tells it from a later one with the same pid.

    `addresses` are the endpoints it serves, by field of `Endpoints`; `port` is the one it is asked on.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    create_time: float
    port: int
    addresses: Mapping[str, str] = Field(default_factory=dict)


class StackState(BaseModel):
    """The content of `stack.json`. While `up` is at work, `endpoints` can name a process that is not there yet."""

    model_config = ConfigDict(frozen=True)

    endpoints: Endpoints
    processes: tuple[ProcessRecord, ...] = ()


def load(home: Path) -> StackState | None:
    """What was saved in `home`, or None. Raises `ConfigurationError` when the file cannot be understood."""
    path = stack_file(home)
    try:
        return StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise ConfigurationError(f"{path} is damaged: stop what still runs by hand, then delete the file") from None


def save(home: Path, state: StackState) -> None:
    """Replace the file at once: a reader, or a crash, sees the old or the new content and nothing between."""
    path = stack_file(home)
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(state.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def forget(home: Path) -> None:
    """Remove the file: nothing runs here any more."""
    stack_file(home).unlink(missing_ok=True)


@contextmanager
def locked(home: Path, report: Report) -> Iterator[None]:
    """Hold the lock of `home`, an existing folder. Waits while another command holds it, and says so."""
    with (home / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another `engross up` or `down` is at work here: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
