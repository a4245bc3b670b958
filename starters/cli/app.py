"""Every command of `engross` with its options. What they do is imported when they do it, so that help is quick."""

from datetime import datetime
from importlib import metadata
from typing import Annotated, Literal

import typer

from engross.contracts import DEFAULT_TENANT
from engross.settings import load_settings
from starters.cli.approvals_commands import approvals
from starters.cli.audit_commands import audit
from starters.cli.batch_commands import batch
from starters.cli.builds_commands import builds
from starters.cli.cases_commands import cases
from starters.cli.codec_commands import codec_server
from starters.cli.ending import EPILOG, Commands
from starters.cli.erase_commands import tenant
from starters.cli.formats import Format
from starters.cli.gc_commands import gc
from starters.cli.groups import budget, cache, ledger, notices
from starters.cli.guard import check_rooms
from starters.cli.keys_commands import keys
from starters.cli.logs_commands import logs
from starters.cli.options import JobFilter, Json, OutcomeFilter, Run, TenantFilter
from starters.cli.output import data
from starters.cli.replay_commands import replay
from starters.cli.users_commands import users

app = typer.Typer(
    cls=Commands,
    help="Durable document jobs: documents in, typed and checked answers out.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        data(f"engross {metadata.version('engross')}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    check_rooms()


# --- the stack --------------------------------------------------------------------------------------------------


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it running in the background.")] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Start the servers only.")] = False,
    local_model: Annotated[
        bool, typer.Option("--local-model", help="Start a small real model too; `make local-model` installs it.")
    ] = False,
) -> None:
    """Start Temporal, Redis, a worker and, without a provider key, the stand-in for a model; or find them running."""
    from starters.cli import stack

    raise typer.Exit(stack.up(load_settings(), detach=detach, worker=not no_worker, local_model=local_model))


@app.command()
def down() -> None:
    """Stop what `engross up` started."""
    from starters.cli import stack

    raise typer.Exit(stack.down(load_settings()))


@app.command()
def demo() -> None:
    """Run the shipped jobs over their sample documents and show the answers."""
    from starters.cli import demo

    raise typer.Exit(demo.demo(load_settings()))


@app.command()
def doctor(
    as_json: Json = False,
    offline: Annotated[bool, typer.Option("--offline", help="Don't ask the model provider.")] = False,
) -> None:
    """Check settings, keys, servers and stores; each with the fix for what is wrong."""
    from starters.cli import doctor

    raise typer.Exit(doctor.doctor(load_settings(), offline=offline, as_json=as_json))


@app.command()
def worker(
    queues: Annotated[
        str | None, typer.Option("--queues", help="Task queues, separated by commas. Default: all there is work for.")
    ] = None,
) -> None:
    """Do the work of runs until SIGTERM or Ctrl-C."""
    from workers.main import run_worker

    names = tuple(name.strip() for name in queues.split(",") if name.strip()) if queues else None
    raise typer.Exit(run_worker(load_settings(), names))


# --- documents --------------------------------------------------------------------------------------------------


@app.command()
def submit(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job; `engross jobs` lists them.")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders and globs, ** included.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose documents these are.")] = DEFAULT_TENANT,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the runs have ended, or are parked, and print how they stand.")
    ] = False,
    as_json: Json = False,
    again: Annotated[bool, typer.Option("--again", help="Run again, even if equal work is done.")] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run again, and ask the models even where their replies are kept.")
    ] = False,
    review: Annotated[
        bool, typer.Option("--review", help="Let a person decide on the answer, whatever the risk.")
    ] = False,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=256, help="Documents at a time.")] = 8,
) -> None:
    """Submit documents to a job. Equal work is joined, not paid twice.

    Put `--` before names that begin with a dash.
    """
    from starters.cli import submit

    code = submit.submit(
        load_settings(),
        job,
        paths,
        tenant=tenant,
        again=again,
        cache=not no_cache,
        review=review,
        wait=wait,
        at_once=at_once,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def jobs(as_json: Json = False) -> None:
    """List the jobs, and name those that are broken."""
    from starters.cli import jobs

    raise typer.Exit(jobs.jobs(load_settings(), as_json=as_json))


# --- runs -------------------------------------------------------------------------------------------------------


@app.command()
def status(run: Run, as_json: Json = False) -> None:
    """Show where a run stands."""
    from starters.cli import show

    raise typer.Exit(show.status(load_settings(), run, as_json=as_json))


@app.command("list")
def list_runs(
    job: JobFilter = None,
    tenant: TenantFilter = None,
    outcome: OutcomeFilter = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List runs: those that are running or parked, then those that ended, newest first."""
    from starters.cli import show

    code = show.list_runs(load_settings(), job=job, tenant=tenant, outcome=outcome, limit=limit, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def result(run: Run, as_json: Json = False) -> None:
    """Show how a run ended, with its answer."""
    from starters.cli import show

    raise typer.Exit(show.result(load_settings(), run, as_json=as_json))


@app.command()
def export(
    job: Annotated[str, typer.Option("--job", help="The job whose rows to write.")],
    form: Annotated[Format, typer.Option("--format", help="JSON lines are exact; CSV is for spreadsheets.")],
    tenant: TenantFilter = None,
    outcome: OutcomeFilter = None,
) -> None:
    """Write the stored rows of a job to stdout, newest first. In CSV, text that looks like a formula gets a '."""
    from starters.cli import export

    raise typer.Exit(export.export(load_settings(), job=job, tenant=tenant, outcome=outcome, form=form))


@app.command()
def costs(
    by: Annotated[Literal["tenant", "job", "model", "day"], typer.Option("--by", help="What to add up by.")],
    job: JobFilter = None,
    tenant: TenantFilter = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only runs started then or later."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only runs started then or earlier."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the model calls of ended runs cost, replaced runs included. Days are those of UTC."""
    from starters.cli import costs

    first, last = since.date() if since else None, until.date() if until else None
    code = costs.costs(load_settings(), by=by, job=job, tenant=tenant, since=first, until=last, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def cancel(run: Run) -> None:
    """Ask a run to stop."""
    from starters.cli import show

    raise typer.Exit(show.cancel(load_settings(), run))


@app.command()
def resume(
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Runs to wake.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Wake all that are parked.")] = False,
) -> None:
    """Wake parked runs now, and at once try the providers that were given up."""
    from starters.cli import resume

    raise typer.Exit(resume.resume(load_settings(), runs or [], everything=everything))


@app.command()
def circuits(as_json: Json = False) -> None:
    """Show which providers are called, and which were given up for a while."""
    from starters.cli import circuits

    raise typer.Exit(circuits.circuits(load_settings(), as_json=as_json))


@app.command()
def console() -> None:
    """Serve the approvals console and the REST API until Ctrl-C."""
    from starters.cli import console

    raise typer.Exit(console.console(load_settings()))


app.command()(ledger)
app.command()(replay)
app.command()(gc)
app.command("codec-server")(codec_server)
app.add_typer(approvals, name="approvals")
app.add_typer(audit, name="audit")
app.add_typer(batch, name="batch")
app.add_typer(budget, name="budget")
app.add_typer(builds, name="builds")
app.add_typer(cache, name="cache")
app.add_typer(cases, name="cases")
app.add_typer(keys, name="keys")
app.add_typer(logs, name="logs")
app.add_typer(notices, name="notices")
app.add_typer(tenant, name="tenant")
app.add_typer(users, name="users")
