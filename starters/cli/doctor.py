"""`engross doctor`: what works, what does not, and what mends it."""

import json
from collections.abc import Sequence

from rich.text import Text

from engross.settings import Settings, variable
from starters.cli.checks import Check, Kind, installation, provider, servers, stores
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, out
from starters.cli.tables import cells, plain_table
from starters.running import run


def doctor(settings: Settings, *, offline: bool, as_json: bool) -> ExitCode:
    """Checks everything that a run needs. `offline` leaves out the question to the model provider."""
    checks = run(_examine(settings, offline=offline))
    if as_json:
        data(json.dumps({"checks": [check.row() for check in checks], "settings": effective(settings)}))
    else:
        _show(settings, checks)
    failed = {check.kind for check in checks if not check.ok}
    if Kind.CONFIGURATION in failed:
        return ExitCode.CONFIGURATION
    return ExitCode.UNREACHABLE if failed else ExitCode.OK


async def _examine(settings: Settings, *, offline: bool) -> list[Check]:
    return [
        *installation(settings),
        await provider(settings, offline=offline),
        *await servers(settings),
        *await stores(settings),
    ]


def effective(settings: Settings) -> dict[str, str]:
    """The settings in force by the name of their variable; of secrets only whether they are set."""
    shown = {}
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if field.endswith("_key"):
            shown[variable(field)] = "set" if value else "not set"
        elif isinstance(value, tuple):
            shown[variable(field)] = ":".join(map(str, value))
        else:
            shown[variable(field)] = "" if value is None else _without_password(str(value))
    return shown


def _without_password(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or "@" not in rest:
        return value
    return f"{scheme}://***@{rest.rpartition('@')[2]}"


def _show(settings: Settings, checks: Sequence[Check]) -> None:
    table = plain_table("check", "", "detail")
    for check in checks:
        mark = Text("ok", style="green") if check.ok else Text("NO", style="bold red")
        table.add_row(clean(check.name), mark, *cells(check.detail))
        if not check.ok:
            table.add_row("", Text("fix"), *cells(check.fix))
    out.print(table)
    data("")
    for name, value in effective(settings).items():
        data(clean(f"{name}={value}"))
