"""`engross circuits`: which providers are called, and which were given up for a while."""

import json
from typing import Final

from activities.guards.breaker import Breaker, State
from engross.endpoints import resolve
from engross.names import PROVIDERS
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, out
from starters.cli.tables import cells, plain_table
from starters.running import run
from workers.redis_access import open_redis

_MEANS: Final = {"closed": "closed", "open": "open", "half_open": "half open: the next call decides"}


def circuits(settings: Settings, *, as_json: bool) -> ExitCode:
    """Shows the circuit of each provider: closed is good, an open one lets no call through until it is tried again."""
    states = run(_states(settings))
    table = plain_table("provider", "circuit", "opened by", "tried again")
    for provider, state in states.items():
        until = state.until.isoformat(timespec="seconds") if state.until else None
        if as_json:
            row = {"provider": provider, "state": state.name, "cause": state.opened_by, "until": until}
            data(json.dumps(row))
        table.add_row(*cells(provider, _MEANS[state.name], state.opened_by or "", until or ""))
    if not as_json:
        out.print(table)
    return ExitCode.OK


async def _states(settings: Settings) -> dict[str, State]:
    async with open_redis(settings, resolve(settings).redis) as store:
        breaker = Breaker(store)
        return {provider: await breaker.state(provider) for provider in PROVIDERS}
