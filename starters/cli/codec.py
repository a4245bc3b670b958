"""`engross codec-server`."""

import os

from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note
from starters.codec.serving import serve
from starters.running import run
from workers.logs import configure_logs
from workers.redaction import secrets_of


def codec_server(settings: Settings) -> ExitCode:
    """Serves `/encode` and `/decode` until SIGTERM or Ctrl-C."""
    configure_logs(settings.log_level, secrets_of(settings, os.environ))
    run(serve(settings, _listening))
    note("stopped")
    return ExitCode.OK


def _listening(address: str, web_ui: str) -> None:
    data(clean(f"Codec server   {address}"))
    if web_ui:
        note(f"for Temporal's Web UI at {web_ui}: open it at exactly this address")
    else:
        note("no Web UI is known: set ENGROSS_WEB_UI_URL where people use one; API keys work without it")
    note("Ctrl-C stops it")
