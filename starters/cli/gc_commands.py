"""The command `engross gc`, with its options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, and show what would be deleted.")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Delete only what is this tenant's.")] = None,
    as_json: Json = False,
) -> None:
    """Delete ended runs after ENGROSS_RESULT_DAYS, and blobs that nothing needs after ENGROSS_BLOB_DAYS.

    See docs/retention.md.
    """
    from starters.cli import gc

    raise typer.Exit(gc.gc(load_settings(), dry_run=dry_run, tenant=tenant, as_json=as_json))
