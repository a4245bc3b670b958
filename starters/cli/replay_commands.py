"""`engross replay` with its options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json


def replay(
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Ids of runs, batches, approvals.")] = None,
    all_open: Annotated[bool, typer.Option("--all-open", help="Everything that has not ended.")] = False,
    workflow_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Of --all-open only this workflow type.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Of --all-open at most this many, newest first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay histories of the server against the code that is installed here: can it go on with these runs?

    Exit code 0 only when all fit. Run it with the new build before it gets any work.
    """
    from starters.cli.replay import Wanted, replay

    raise typer.Exit(
        replay(load_settings(), Wanted(tuple(runs or ()), all_open, workflow_type, limit), as_json=as_json)
    )
