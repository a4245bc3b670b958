"""What a person or a pipe gets to see: data on stdout, everything else on stderr, nothing that a terminal obeys."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_PLAIN_EVERY_SECONDS: Final = 5.0
_PIPE_COLUMNS: Final = 200

# Nothing printed is markup: names, answers and errors come from outside.
# In a pipe there is no screen to fit on.
out: Final = Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def clean(text: str) -> str:
    """`text` on one line, with whatever could move the cursor, colour or reorder the line written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def data(line: str) -> None:
    """One line of data, for stdout. JSON is safe as it is, other text must be `clean`."""
    _write(sys.stdout, line)


def note(line: str) -> None:
    """One line for the person at the terminal, for stderr."""
    _write(sys.stderr, clean(line))


def _write(stream: TextIO, line: str) -> None:
    # Not typer.echo: it goes round the progress bar, which takes over both streams while it is shown.
    stream.write(f"{line}\n")
    stream.flush()


def money(cost: Decimal | None) -> str:
    """`$0.001200`, or that the price is not known."""
    if cost is None:
        return "price unknown"
    return f"${cost:.6f}" if cost else "$0"


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[], None]]:
    """Shows how many of `total` are finished: call what this yields once for each."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(clean(label), total=total)
            yield lambda: bar.advance(task)
    else:
        yield _plain_lines(total, label)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
        # On one terminal, data is printed above the bar; data that goes elsewhere must not be touched.
        redirect_stdout=sys.stdout.isatty(),
    )


def _plain_lines(total: int, label: str) -> Callable[[], None]:
    finished = 0
    said = time.monotonic()

    def advance() -> None:
        nonlocal finished, said
        finished += 1
        if finished == total or time.monotonic() - said >= _PLAIN_EVERY_SECONDS:
            said = time.monotonic()
            note(f"{label}: {finished} of {total}")

    return advance
