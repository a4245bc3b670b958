"""`engross cache clear`: forgets replies that equal requests would be answered from."""

from engross.endpoints import resolve
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data
from starters.running import run
from workers.redis_access import open_completions, open_redis


def clear(settings: Settings, *, job: str, tenant: str | None) -> ExitCode:
    """Forgets the kept replies of `job`, of one tenant or of all, and says how many there were."""

    async def forget() -> int:
        async with open_redis(settings, resolve(settings).redis) as client:
            return await open_completions(settings, client).clear(job=job, tenant=tenant)

    data(f"{run(forget())} kept replies of {job} forgotten")
    return ExitCode.OK
