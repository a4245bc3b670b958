"""The commands of `engross batch`, with their options."""

from pathlib import Path
from typing import Annotated

import typer

from engross.contracts import DEFAULT_TENANT, MOST_AT_ONCE, MOST_IN_GROUP
from engross.settings import load_settings
from starters.cli.options import Json

batch = typer.Typer(help="Thousands of documents as one piece of work.", no_args_is_help=True)

Batch = Annotated[str, typer.Argument(metavar="BATCH", help="Id of a batch, as `engross batch submit` prints it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended, and show how it goes on.")]


@batch.command("submit")
def submit(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job; `engross jobs` lists them.")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Files, folders and globs, ** included.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", metavar="FILE", help='Paths, one a line; or JSON lines: {"uri": ..., "name": ...}.'),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="CSV with a header, or JSON lines: a document a row.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="The text of the rows. Default: all columns.")
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose documents these are.")] = DEFAULT_TENANT,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=MOST_AT_ONCE, help="Documents at a time.")] = 64,
    group: Annotated[int, typer.Option("--group", min=1, max=MOST_IN_GROUP, help="Documents a child run.")] = 25,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run again, and ask the models even where their replies are kept.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Run again, even if an equal batch is done.")] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Submit documents as one batch. An equal batch is joined, not paid twice.

    What cannot be read is a failed row and stops no other. Files are uploaded; addresses of a manifest that begin with
    file: or blob: are read by the workers. Put `--` before names that begin with a dash.
    """
    from starters.cli import batch
    from starters.cli.batch_input import Sources

    sources = Sources(paths or (), manifest, rows, column)
    manner = batch.Manner(tenant=tenant, at_once=at_once, group=group, again=again, cache=not no_cache)
    raise typer.Exit(batch.submit(load_settings(), job, sources, manner, wait=wait, as_json=as_json))


@batch.command("status")
def status(
    batch_id: Batch,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Show where a batch stands."""
    from starters.cli import batch

    raise typer.Exit(batch.status(load_settings(), batch_id, watch=watch, as_json=as_json))


@batch.command("rows")
def rows(
    batch_id: Batch,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Only rows that ended so, such as failed; or parked, duplicate.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the documents that are accounted for, each with its outcome by now."""
    from starters.cli import batch_show

    raise typer.Exit(batch_show.rows(load_settings(), batch_id, outcome=outcome, as_json=as_json))


@batch.command("pause")
def pause(batch_id: Batch) -> None:
    """Start no more documents; those in flight end."""
    from starters.cli import batch

    raise typer.Exit(batch.pause(load_settings(), batch_id))


@batch.command("resume")
def resume(batch_id: Batch) -> None:
    """Go on with a paused batch."""
    from starters.cli import batch

    raise typer.Exit(batch.resume(load_settings(), batch_id))


@batch.command("window")
def window(
    batch_id: Batch,
    at_once: Annotated[int, typer.Argument(metavar="N", min=1, max=MOST_AT_ONCE, help="Documents at a time.")],
) -> None:
    """Change how many documents are in flight."""
    from starters.cli import batch

    raise typer.Exit(batch.window(load_settings(), batch_id, at_once))


@batch.command("cancel")
def cancel(batch_id: Batch) -> None:
    """Ask a batch to stop, with all its documents."""
    from starters.cli import batch

    raise typer.Exit(batch.cancel(load_settings(), batch_id))


@batch.command("retry-failed")
def retry_failed(batch_id: Batch, wait: Wait = False, as_json: Json = False) -> None:
    """Submit the documents that failed, were cancelled or never begun as a new batch."""
    from starters.cli import batch

    raise typer.Exit(batch.retry_failed(load_settings(), batch_id, wait=wait, as_json=as_json))


@batch.command("list")
def list_batches(
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = 20, as_json: Json = False
) -> None:
    """List batches, newest first."""
    from starters.cli import batch_show

    raise typer.Exit(batch_show.list_batches(load_settings(), limit=limit, as_json=as_json))
