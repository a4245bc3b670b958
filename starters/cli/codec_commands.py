"""`engross codec-server`, as a command."""

import typer

from engross.settings import load_settings


def codec_server() -> None:
    """Serve decoded payloads to Temporal's Web UI and command, to people who may see them; see docs/codec-server.md."""
    from starters.cli import codec

    raise typer.Exit(codec.codec_server(load_settings()))
