"""`engross console`."""

import os

from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note
from starters.console.serving import serve
from starters.running import run
from workers.logs import configure_logs
from workers.redaction import secrets_of


def console(settings: Settings) -> ExitCode:
    """Serves the console and the REST API until SIGTERM or Ctrl-C."""
    configure_logs(settings.log_level, secrets_of(settings, os.environ))
    run(serve(settings, _listening))
    note("stopped")
    return ExitCode.OK


def _listening(address: str, is_empty: bool) -> None:
    data(clean(f"Console   {address}"))
    if is_empty:
        note("nobody can sign in yet: `engross users first NAME` adds the first person")
    note("Ctrl-C stops it")
