"""The commands of `engross cases`, with their options."""

from datetime import datetime
from typing import Annotated, Literal

import typer

from engross.settings import load_settings

cases = typer.Typer(help="What people corrected, as labelled cases for evaluation.", no_args_is_help=True)


@cases.callback()
def group() -> None:
    """Keeps `export` a command of its own: typer makes a group of one the group itself."""


@cases.command("export")
def export(
    job: Annotated[str, typer.Option("--job", help="The job whose corrections to write.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only those of this tenant.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only those of that day or later."),
    ] = None,
    form: Annotated[Literal["jsonl"], typer.Option("--format", help="JSON lines.")] = "jsonl",
    with_text: Annotated[bool, typer.Option("--with-text", help="The text of the documents as well.")] = False,
) -> None:
    """Write corrections to stdout, oldest first: the answer before and after, what changed, who and when (UTC)."""
    from starters.cli import cases

    first = since.date() if since else None
    raise typer.Exit(cases.export(load_settings(), job=job, tenant=tenant, since=first, with_text=with_text))
