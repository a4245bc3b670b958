"""What this process knows of a folder's files: which were whole and on the disk when it saw them last."""

import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# In bytes, together with what an entry takes besides its data.
_MOST: Final = 16 * 1024 * 1024
_LARGEST: Final = 512 * 1024
_ENTRY: Final = 512
_MOST_FOLDERS: Final = 16_384
# Nanoseconds. A file's clock ticks every few milliseconds: a change within the tick of the one before looks like none.
_OLD_ENOUGH: Final = 1_000_000_000

# Inode, size, and time of the last change (ns): a file that was written to since has another one.
State = tuple[int, int, int]


@dataclass(frozen=True)
class _Known:
    state: State
    data: bytes | None
    durable: bool


class KnownFiles:
    """The files below `root` by their path from there, the least used forgotten first; contents up to 16 MiB in all.

    For one thread, `flush` apart. Whatever it has to look up on the disk takes microseconds.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: OrderedDict[str, _Known] = OrderedDict()
        self._bytes = 0
        self._folders: dict[Path, int] = {}

    def data(self, key: str) -> bytes | None:
        """The contents of a file that has not changed since they were kept; None when they are not known."""
        known = self._unchanged(key)
        return known.data if known else None

    def is_durable(self, key: str, *, since: float = 0) -> bool:
        """Whether a file was flushed by this process, has not changed since, and is from after `since` (s, Unix)."""
        known = self._unchanged(key)
        return known is not None and known.durable and known.state[2] >= since * 1e9

    def state(self, key: str) -> State | None:
        """How a file is now; None when there is none, or when a change to come could not be told from the last."""
        try:
            found = os.stat(self._root / key)
        except OSError:
            return None
        return _state(found) if found.st_mtime_ns <= time.time_ns() - _OLD_ENOUGH else None

    def keep(self, key: str, data: bytes, state: State | None, *, durable: bool) -> None:
        """Remembers the verified contents of a file in that state; `durable` when it was flushed in it."""
        before = self._files.get(key)
        durable = durable or (before is not None and before.durable and before.state == state)
        self._forget(key)
        if state is None:
            return
        self._files[key] = _Known(state, data if len(data) <= _LARGEST else None, durable)
        self._bytes += _weight(self._files[key])
        while self._bytes > _MOST:
            self._forget(next(iter(self._files)))

    def flush(self, key: str, *, new: bool) -> None:
        """Puts a file on the disk, and every folder's entry for it; `new` says that this process wrote it just now.

        Blocks: to be called in a thread. A folder's own entry is flushed when the folder is new to this process.
        """
        path = self._root / key
        _flush(path, backdated=new)
        flushed: dict[Path, int] = {}
        for folder in path.parents:
            inode = _flush(folder)
            if folder == self._root or self._folders.get(folder) == inode:
                break
            flushed[folder] = inode
        if len(self._folders) > _MOST_FOLDERS:
            self._folders.clear()
        self._folders.update(flushed)

    def touch(self, key: str) -> None:
        """Makes a file new, though old enough for any change from now on to be told apart. Blocks."""
        now = time.time_ns() - 2 * _OLD_ENOUGH
        os.utime(self._root / key, ns=(now, now))

    def _unchanged(self, key: str) -> _Known | None:
        known = self._files.get(key)
        if known is None:
            return None
        if known.state != self.state(key):
            self._forget(key)
            return None
        self._files.move_to_end(key)
        return known

    def _forget(self, key: str) -> None:
        known = self._files.pop(key, None)
        self._bytes -= _weight(known) if known else 0


def _state(found: os.stat_result) -> State:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _weight(known: _Known) -> int:
    return _ENTRY + len(known.data or b"")


def _flush(path: Path, *, backdated: bool = False) -> int:
    """The inode of what was flushed. `backdated` makes it old enough, so that any change from now on is told apart."""
    handle = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(handle)
        if backdated:
            os.utime(handle, ns=(found.st_atime_ns, found.st_mtime_ns - 2 * _OLD_ENOUGH))
        os.fsync(handle)
    finally:
        os.close(handle)
    return found.st_ino
