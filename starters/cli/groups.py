"""The commands of `engross budget`, `engross cache`, `engross notices` and `engross ledger`, with their options."""

from typing import Annotated

import typer

from engross.settings import load_settings
from starters.cli.options import Json, Run

budget = typer.Typer(help="What model calls may cost: per run, per tenant and month, per day.", no_args_is_help=True)
notices = typer.Typer(help="How people hear of approvals; see docs/notices.md.", no_args_is_help=True)
cache = typer.Typer(help="Replies that are kept so that equal requests are paid for once.", no_args_is_help=True)

RunOrNone = Annotated[str | None, typer.Argument(metavar="RUN", help="The budget of this run.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="The budget of this tenant for this month.")]
Day = Annotated[bool, typer.Option("--day", help="The budget of all tenants together for today.")]


@budget.command("show")
def show_budget(run: RunOrNone = None, tenant: Tenant = None, day: Day = False, as_json: Json = False) -> None:
    """Show limits, what is spent and reserved, and what is left. Without arguments: today's and the tenants'."""
    from starters.cli.budget import Whose, show

    raise typer.Exit(show(load_settings(), Whose(run, tenant, day), as_json=as_json))


@budget.command("raise")
def raise_budget(
    by: Annotated[str, typer.Option("--by", metavar="USD", help="US dollars more, until the month or day ends.")],
    run: RunOrNone = None,
    tenant: Tenant = None,
    day: Day = False,
) -> None:
    """Raise a budget, and wake the runs that wait for it."""
    from starters.cli.budget import Whose, raise_budget

    raise typer.Exit(raise_budget(load_settings(), Whose(run, tenant, day), by_usd=by))


@cache.command("clear")
def clear_cache(
    job: Annotated[str, typer.Option("--job", help="The job whose kept replies to forget.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only those of this tenant.")] = None,
) -> None:
    """Forget kept replies of a job; its next runs ask the models again."""
    from starters.cli import cache

    raise typer.Exit(cache.clear(load_settings(), job=job, tenant=tenant))


@notices.callback()
def about_notices() -> None:
    """Without it typer would take the only command for the whole group."""


@notices.command("secret")
def notices_secret() -> None:
    """Print the secret with which a receiver of the webhook checks signatures."""
    from starters.cli import notices

    raise typer.Exit(notices.secret(load_settings()))


def ledger(run: Run, as_json: Json = False) -> None:
    """Show how every part of a run ended: chunks, perspectives, rounds, routes."""
    from starters.cli import ledger

    raise typer.Exit(ledger.ledger(load_settings(), run, as_json=as_json))
