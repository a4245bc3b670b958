"""The command of `engross logs`, with its options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json

logs = typer.Typer(help="What workers tell in their logs; see docs/logs-and-traces.md.", no_args_is_help=True)


@logs.callback()
def about_logs() -> None:
    """Without it typer would take the only command for the whole group."""


@logs.command("level")
def level(
    to: Annotated[
        str | None,
        typer.Argument(metavar="LEVEL", help="debug, info, warning or error; without it, show what is asked for."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", help="How long it lasts; then all is as before.")] = 30,
    logger: Annotated[
        str, typer.Option("--logger", metavar="NAME", help="Only of this module or library, such as activities.models.")
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Go back to ENGROSS_LOG_LEVEL now.")] = False,
    as_json: Json = False,
) -> None:
    """Change the log level of all running workers for a while, without a restart; or show what it is changed to."""
    from starters.cli import logs

    raise typer.Exit(logs.level(load_settings(), logs.Change(to, minutes, logger, off=off), as_json=as_json))
