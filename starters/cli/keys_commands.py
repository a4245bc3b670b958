"""The commands of `engross keys`, with their options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json

keys = typer.Typer(help="Encryption keys: of the installation, and of each tenant.", no_args_is_help=True)


@keys.command("new")
def new(
    key_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Its name in ENGROSS_ENCRYPTION_KEYS. Default: k and today."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a new master key for ENGROSS_ENCRYPTION_KEYS. It is a secret, and kept nowhere else."""
    from starters.cli import keys_master

    raise typer.Exit(keys_master.new(key_id, as_json=as_json))


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show the data keys of all tenants, without their secrets."""
    from starters.cli import keys

    raise typer.Exit(keys.list_keys(load_settings(), as_json=as_json))


@keys.command("rotate")
def rotate(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Whose key to replace.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Those of all tenants, and of the installation.")] = False,
    as_json: Json = False,
) -> None:
    """Give a tenant a new data key: it encrypts what comes, and what is there stays readable."""
    from starters.cli import keys

    raise typer.Exit(keys.rotate(load_settings(), tenant, everyone=everyone, as_json=as_json))


@keys.command("rewrap")
def rewrap(as_json: Json = False) -> None:
    """Wrap all data keys by the first master key, so that those behind it are needed for backups only."""
    from starters.cli import keys

    raise typer.Exit(keys.rewrap(load_settings(), as_json=as_json))
