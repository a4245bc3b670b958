"""How commands end: exit codes, and one line for an error."""

from enum import IntEnum
from typing import Any, Final

import typer
from typer.core import TyperGroup

from engross.errors import (
    ConfigurationError,
    EngrossError,
    InvalidRequest,
    RunNotFound,
    ServiceUnavailable,
    UnknownJob,
)
from starters.cli.output import note


class ExitCode(IntEnum):
    """Documented in `engross --help`."""

    OK = 0
    NOT_DONE = 1
    USAGE = 2
    UNREACHABLE = 3
    CONFIGURATION = 4
    INTERRUPTED = 130


EPILOG: Final = (
    "Exit codes: 0 all is done; 1 a document did not end as done, or is parked; 2 wrong usage: unknown job, bad tenant,"
    " nothing to submit, no such run; 3 Temporal, Redis or a store does not answer; 4 configuration; 130 interrupted."
)


class NothingToSubmit(EngrossError):
    """The paths of a submission name no document at all."""


_CODES: Final = (
    (UnknownJob, ExitCode.USAGE),
    (InvalidRequest, ExitCode.USAGE),
    (RunNotFound, ExitCode.USAGE),
    (NothingToSubmit, ExitCode.USAGE),
    (ServiceUnavailable, ExitCode.UNREACHABLE),
    (ConfigurationError, ExitCode.CONFIGURATION),
)


class Commands(TyperGroup):
    """Commands whose named errors and Ctrl-C end in one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EngrossError as error:
            note(f"engross: {error}")
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            note("engross: interrupted")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def exit_code(error: EngrossError) -> ExitCode:
    """The exit code that stands for `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.NOT_DONE)
