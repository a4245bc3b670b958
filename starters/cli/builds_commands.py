"""The commands of `engross builds`, with their options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json

builds = typer.Typer(
    help="Versions of the workers: which build gets new runs, and which still has some. See docs/releases.md.",
    no_args_is_help=True,
)

BuildId = Annotated[str, typer.Argument(metavar="BUILD", help="ENGROSS_BUILD_ID of its workers.")]
Check = Annotated[bool, typer.Option("--check/--no-check", help="Look first whether the build can take the runs.")]


@builds.command("list")
def list_builds(as_json: Json = False) -> None:
    """List the builds: which is current, what each still has to end, and who polls its queues."""
    from starters.cli import builds

    raise typer.Exit(builds.list_builds(load_settings(), as_json=as_json))


@builds.command()
def promote(
    build_id: BuildId,
    ramp: Annotated[
        float | None, typer.Option("--ramp", min=0, max=100, help="Only so many percent of new runs, for a start.")
    ] = None,
    check: Check = True,
) -> None:
    """Let new runs begin on a build. Those in flight stay where they are."""
    from starters.cli import builds

    raise typer.Exit(builds.promote(load_settings(), build_id, ramp=ramp, check=check))


@builds.command()
def rollback() -> None:
    """End a ramp; or, without one, let new runs begin on the build that was current before."""
    from starters.cli import builds

    raise typer.Exit(builds.rollback(load_settings()))


@builds.command()
def drained(
    build_id: BuildId,
    wait: Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for it.")] = 0,
) -> None:
    """Exit code 0 when a build gets no new runs and has none left: its workers may be stopped."""
    from starters.cli import builds

    raise typer.Exit(builds.drained(load_settings(), build_id, wait=wait))


@builds.command()
def move(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The build that has the runs.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The build to go on with them.")],
    check: Check = True,
    fitting: Annotated[
        bool, typer.Option("--fitting", help="Leave those that do not fit, and move the others.")
    ] = False,
) -> None:
    """Move open runs to another build, after replaying all of them against the code that is installed here."""
    from starters.cli import builds

    raise typer.Exit(builds.move(load_settings(), source, target, check=check, fitting=fitting))
