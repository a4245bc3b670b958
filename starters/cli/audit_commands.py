"""The commands of `engross audit`, with their options."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json

audit = typer.Typer(help="Who decided what, when and from where: an append-only log.", no_args_is_help=True)

Tenant = Annotated[
    str | None, typer.Option("--tenant", help='Only the log of this tenant; "*" is of people and their access.')
]


@audit.command("export")
def export(
    tenant: Tenant = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="From the first line of that day on."),
    ] = None,
) -> None:
    """Write the log as JSON lines to stdout. Keep exports elsewhere: `verify --against` compares the log with them."""
    from starters.cli import audit

    raise typer.Exit(audit.export(load_settings(), tenant=tenant, since=since.date() if since else None))


@audit.command("verify")
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Verify this export instead of the log itself.")
    ] = None,
    tenant: Tenant = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="Find too what differs from this earlier export.")
    ] = None,
    chain_only: Annotated[
        bool, typer.Option("--chain-only", help="Verify FILE without the secret: anybody could have written it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find what was edited, removed, moved or added: exit code 1 names it, 0 shows how far each tenant's log goes."""
    from starters.cli import audit

    code = audit.verify(
        load_settings(), tenant=tenant, file=file, against=against, chain_only=chain_only, as_json=as_json
    )
    raise typer.Exit(code)


@audit.command("show")
def show(
    approval: Annotated[str, typer.Argument(metavar="APPROVAL", help="Id of an approval.")], as_json: Json = False
) -> None:
    """Show what happened to one approval."""
    from starters.cli import audit

    raise typer.Exit(audit.show(load_settings(), approval, as_json=as_json))
