"""From the paths of a command line to documents: files, folders, globs."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engross.errors import DocumentError, DocumentNotFound
from starters.cli.ending import NothingToSubmit


@dataclass(frozen=True)
class Found:
    """A document to submit, or the reason why there is none at that path."""

    path: Path
    problem: DocumentError | None = None


def find_documents(patterns: Iterable[str]) -> list[Found]:
    """The documents that `patterns` name, sorted, each once.

    Folders are searched to the bottom; hidden files and folders in them are left out. What leads nowhere becomes a
    `Found` with a problem, so that the others are still submitted. Raises `NothingToSubmit` when no document is left
    and an empty folder is to blame.
    """
    found: dict[str, Found] = {}
    empty: list[str] = []
    for pattern in patterns:
        documents = list(_expand(pattern))
        for document in documents:
            found.setdefault(os.path.realpath(document.path), document)
        if not documents:
            empty.append(pattern)
    if not found:
        raise NothingToSubmit(f"no documents in {', '.join(empty) or 'what was named'}")
    for pattern in empty:
        found[pattern] = Found(Path(pattern), DocumentNotFound(f"no documents in {pattern}"))
    return sorted(found.values(), key=lambda each: str(each.path))


def _expand(pattern: str) -> Iterator[Found]:
    path = Path(pattern)
    try:
        exists = path.exists()
    except OSError as error:
        yield Found(path, DocumentNotFound(f"{pattern} cannot be read: {error}"))
        return
    # A file that exists is itself, whatever brackets and stars its name has.
    matches = [] if exists else sorted(glob.glob(pattern, recursive=True))
    if not exists and not matches:
        problem = "nothing matches" if glob.has_magic(pattern) else "no file at"
        yield Found(path, DocumentNotFound(f"{problem} {pattern}"))
    for each in [path] if exists else map(Path, matches):
        if each.is_dir():
            yield from map(Found, _files_below(each))
        else:
            yield Found(each)


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
