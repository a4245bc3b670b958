"""The commands of `engross approvals`, with their options."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engross.contracts import ActKind, Risk, Verdict
from engross.errors import DecisionRefused, InvalidAnswer, NotSignedIn
from engross.settings import load_settings
from starters.cli.ending import exit_code
from starters.cli.options import Json
from starters.cli.output import note

_ALL = "all"


class Decisions(TyperGroup):
    """Commands whose refusals are told with their names: which of them it is matters to those who decide."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (DecisionRefused, InvalidAnswer, NotSignedIn) as error:
            note(f"engross: {error.type}: {error}")
            raise typer.Exit(exit_code(error)) from None


approvals = typer.Typer(
    cls=Decisions,
    help="What waits for people to decide, and deciding on it. ENGROSS_USER_KEY says who you are.",
    no_args_is_help=True,
)

Which = Annotated[
    str, typer.Argument(metavar="ID", help="Id of an approval or of the run that waits for it; its beginning will do.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask; needs --shown or --latest.")]
Shown = Annotated[
    str, typer.Option("--shown", metavar="HASH", help="Only if this is what is shown: 12 digits of the hash or more.")
]
Latest = Annotated[bool, typer.Option("--latest", help="Whatever is shown now.")]
Key = Annotated[str, typer.Option("--key", help="The key of an act whose answer was lost, to ask again.")]
Print = Annotated[
    bool,
    typer.Option(
        "--print",
        help="Print the signed act as JSON instead of sending it: for the dialog of Temporal's Web UI, or for"
        " `temporal workflow update execute --name decide --input`. Whoever has it can send it.",
    ),
]


@approvals.command("list")
def list_approvals(
    job: Annotated[str | None, typer.Option("--job", help="Only of this job.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    risk: Annotated[Risk | None, typer.Option("--risk", help="Only of this risk.")] = None,
    verdict: Annotated[
        str, typer.Option("--verdict", help=f"What became of it: {', '.join(Verdict)}; or {_ALL}.")
    ] = Verdict.OPEN.value,
    search: Annotated[str, typer.Option("--search", help="Part of a document's name or of an id.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List what waits for people, most urgent first."""
    from starters.cli.approvals import Filter, list_approvals

    chosen = Filter(job=job, tenant=tenant, risk=risk, verdict=_verdict(verdict), search=search)
    raise typer.Exit(list_approvals(load_settings(), chosen, limit=limit, as_json=as_json))


def _verdict(name: str) -> Verdict | None:
    if name == _ALL:
        return None
    try:
        return Verdict(name)
    except ValueError:
        raise typer.BadParameter(f"--verdict is one of {', '.join(Verdict)}, or {_ALL}") from None


@approvals.command("show")
def show(which: Which, as_json: Json = False) -> None:
    """Show an approval: why people are asked, where it stands, and the proposed answer."""
    from starters.cli.approvals import show

    raise typer.Exit(show(load_settings(), which, as_json=as_json))


@approvals.command("approve")
def approve(
    which: Which,
    yes: Yes = False,
    shown: Shown = "",
    latest: Latest = False,
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Approve an answer, after a look at it."""
    from starters.cli.approvals import decide
    from starters.cli.approvals_asking import Manner

    manner = Manner(yes=yes, shown=shown, latest=latest, key=key, prints=prints, as_json=as_json)
    raise typer.Exit(decide(load_settings(), which, ActKind.APPROVE, manner))


@approvals.command("reject")
def reject(
    which: Which,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    yes: Yes = False,
    shown: Shown = "",
    latest: Latest = False,
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Reject an answer."""
    from starters.cli.approvals import decide
    from starters.cli.approvals_asking import Manner

    manner = Manner(yes=yes, shown=shown, latest=latest, key=key, prints=prints, as_json=as_json)
    raise typer.Exit(decide(load_settings(), which, ActKind.REJECT, manner, reason=reason))


@approvals.command("feedback")
def feedback(
    which: Which,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model is to do better.")],
    yes: Yes = False,
    shown: Shown = "",
    latest: Latest = False,
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Ask the model for another attempt, which will be a new round."""
    from starters.cli.approvals import decide
    from starters.cli.approvals_asking import Manner

    manner = Manner(yes=yes, shown=shown, latest=latest, key=key, prints=prints, as_json=as_json)
    raise typer.Exit(decide(load_settings(), which, ActKind.FEEDBACK, manner, reason=text))


@approvals.command("correct")
def correct(
    which: Which,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Such as amount=12.50 or lines.0.total=3; repeat for more."),
    ] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="FIELD", help="Take out an item, such as lines.2.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The whole answer, as JSON.")] = None,
    yes: Yes = False,
    shown: Shown = "",
    latest: Latest = False,
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Correct an answer and approve it so; on a terminal, without options, in your $EDITOR.

    An empty value is nothing, where the schema allows that: --set date_due=
    """
    from starters.cli.approvals import correct
    from starters.cli.approvals_asking import Manner
    from starters.cli.approvals_edit import Edits

    manner = Manner(yes=yes, shown=shown, latest=latest, key=key, prints=prints, as_json=as_json)
    raise typer.Exit(correct(load_settings(), which, Edits(changes or (), removed or (), file), manner))


@approvals.command("claim")
def claim(which: Which, key: Key = "", prints: Print = False, as_json: Json = False) -> None:
    """Say that you are at it."""
    from starters.cli.approvals import do
    from starters.cli.approvals_asking import Manner

    raise typer.Exit(do(load_settings(), which, ActKind.CLAIM, Manner(key=key, prints=prints, as_json=as_json)))


@approvals.command("release")
def release(which: Which, key: Key = "", prints: Print = False, as_json: Json = False) -> None:
    """Leave it to others again."""
    from starters.cli.approvals import do
    from starters.cli.approvals_asking import Manner

    raise typer.Exit(do(load_settings(), which, ActKind.RELEASE, Manner(key=key, prints=prints, as_json=as_json)))


@approvals.command("delegate")
def delegate(
    which: Which,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The person or group that is to decide.")],
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Have somebody else decide."""
    from starters.cli.approvals import do
    from starters.cli.approvals_asking import Manner

    manner = Manner(key=key, prints=prints, as_json=as_json)
    raise typer.Exit(do(load_settings(), which, ActKind.DELEGATE, manner, to=to))


@approvals.command("extend")
def extend(
    which: Which,
    hours: Annotated[float, typer.Option("--hours", metavar="N", help="How much longer it may take.")],
    key: Key = "",
    prints: Print = False,
    as_json: Json = False,
) -> None:
    """Give people more time."""
    from starters.cli.approvals import do
    from starters.cli.approvals_asking import Manner

    manner = Manner(key=key, prints=prints, as_json=as_json)
    raise typer.Exit(do(load_settings(), which, ActKind.EXTEND, manner, hours=hours))
