"""The commands of `engross tenant`, with their options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json

tenant = typer.Typer(help="What concerns a tenant as a whole.", no_args_is_help=True)


@tenant.callback()
def about_tenants() -> None:
    """Without it typer would take the only command for the whole group."""


@tenant.command("erase")
def erase(
    name: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for its name again.")] = False,
    histories: Annotated[
        bool, typer.Option("--histories", help="Delete its histories in Temporal too; needed where encryption is off.")
    ] = False,
    settle: Annotated[
        float | None,
        typer.Option(
            "--settle",
            min=0,
            metavar="SECONDS",
            help="How long to wait for steps that are under way; default: 61, and 0 only while no worker runs.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Destroy a tenant's keys, end its runs and delete what is stored of it, for good; see docs/erase.md."""
    from starters.cli import erase

    settings = load_settings()
    code = erase.erase(settings, name, yes=yes, histories=histories, settle_seconds=settle, as_json=as_json)
    raise typer.Exit(code)
