"""`engross logs level`: what running workers are asked to tell."""

import json
from dataclasses import dataclass
from datetime import timedelta

from engross.endpoints import resolve
from engross.errors import InvalidRequest
from engross.settings import Settings, variable
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data
from starters.running import run
from workers.log_level import LOOK_EVERY_SECONDS, MOST_MINUTES, Wish, end_level, put_level, wished
from workers.redis_access import open_redis


@dataclass(frozen=True)
class Change:
    """What is asked for: a level for some minutes, of one logger or of all; or, `off`, what was set at the start."""

    level: str | None
    minutes: float
    logger: str = ""
    off: bool = False

    def __post_init__(self) -> None:
        if self.off and self.level is not None:
            raise InvalidRequest("name a level, or --off: one of them")
        if self.logger and self.level is None:
            raise InvalidRequest("name the level that --logger is to have")
        if not 0 < self.minutes <= MOST_MINUTES:
            raise InvalidRequest(f"--minutes is more than 0, and {MOST_MINUTES} at most")


def level(settings: Settings, change: Change, *, as_json: bool) -> ExitCode:
    """Asks for the change, if any, and shows what is asked for then."""
    wish = run(_apply(settings, change))
    if as_json:
        told = {"level": wish.level, "logger": wish.logger, "seconds": round(wish.seconds)} if wish else {"level": None}
        data(json.dumps(told))
        return ExitCode.OK
    if wish is None:
        data(f"workers log as they were started ({variable('log_level')}; here that is {settings.log_level})")
    else:
        of = f"{clean(wish.logger)}: " if wish.logger else ""
        data(f"{of}{wish.level} for {round(wish.seconds)} s more; workers look every {LOOK_EVERY_SECONDS:.0f} s")
    return ExitCode.OK


async def _apply(settings: Settings, change: Change) -> Wish | None:
    async with open_redis(settings, resolve(settings).redis) as store:
        if change.off:
            await end_level(store)
        elif change.level is not None:
            await put_level(store, change.level, change.logger, timedelta(minutes=change.minutes))
        return await wished(store)
