"""`engross resume`: parked runs try again now."""

from collections.abc import Sequence

from activities.guards.breaker import Breaker
from engross.endpoints import resolve
from engross.errors import InvalidRequest
from engross.names import PROVIDERS
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data
from starters.client import Client
from starters.running import run
from workers.redis_access import open_redis
from workers.waking import first_probe, probe_now


def resume(settings: Settings, run_ids: Sequence[str], *, everything: bool) -> ExitCode:
    """Wakes the runs named, or all that are parked, and lets open circuits be tried at once."""
    if bool(run_ids) == everything:
        raise InvalidRequest("name the runs to wake, or give --all for those that are parked: one of both")
    woken, probed = run(_resume(settings, run_ids))
    tried = f"; tried again: {', '.join(probed)}" if probed else ""
    data(f"{woken} run{'' if woken == 1 else 's'} woken{tried}")
    return ExitCode.OK


async def _resume(settings: Settings, run_ids: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    async with await Client.connect(settings) as client, open_redis(settings, resolve(settings).redis) as store:
        breaker = Breaker(store)
        probed = await probe_now(breaker, PROVIDERS)
        if not run_ids:
            return await client.resume_parked(after_first=lambda: first_probe(breaker, probed)), probed
        woken = 0
        for run_id in run_ids:
            woken += await client.resume(run_id)
            if woken == 1:
                await first_probe(breaker, probed)
        return woken, probed
